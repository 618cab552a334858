package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ottla"
	"ottla/log"
)

// TestLogVerify: a data folder that was in use, stopped, and then damaged in one byte.
func TestLogVerify(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data-7") // named like a partition's
	n, err := ottla.Start(t.Context(), ottla.Config{Data: data, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b := broker{data: data, address: n.Addr().String()}
	b.ottla(t, "", "topic", "create", "numbers")
	b.ottla(t, "1\n2\n3\n", "produce", "numbers")
	if _, err := run(t.Context(), nil, "log", "verify", data); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("beside a running node: %v", err)
	}
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{data, filepath.Join(data, "numbers-0")} {
		out, err := run(t.Context(), nil, "log", "verify", dir)
		if err != nil || !strings.Contains(out, "numbers-0") || !strings.Contains(out, "sound") || strings.Contains(out, "damage") {
			t.Errorf("%s: %v\n%s", dir, err, out)
		}
	}
	name := filepath.Join(data, "numbers-0", "00000000000000000000.log")
	bytes, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	bytes[len(bytes)-2] ^= 1
	if err := os.WriteFile(name, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t.Context(), nil, "log", "verify", data, "--output", "json")
	if err == nil || !strings.Contains(err.Error(), "1 damaged") {
		t.Errorf("damaged: %v", err)
	}
	var v log.Verification
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if v.Damaged() != 1 || !v.Clean || !strings.HasSuffix(v.All()[0].File, "numbers-0/00000000000000000000.log") {
		t.Errorf("%+v", v)
	}
	out, err = run(t.Context(), nil, "log", "verify", data)
	if err == nil || !strings.Contains(out, "CRC is wrong") {
		t.Errorf("%v\n%s", err, out)
	}
}

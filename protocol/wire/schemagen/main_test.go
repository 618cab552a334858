package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"os"
	"path/filepath"
	"testing"
)

func TestTableIsUpToDate(t *testing.T) {
	out := filepath.Join(t.TempDir(), "schema_gen.go")
	if err := run("", out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../schema_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("schema_gen.go differs from what kmsg's decoders give: run go generate")
	}
}

// A decoder of an unknown shape must stop the generator: a table that guesses would let through what it is there to stop.
func TestUnknownShapesAreErrors(t *testing.T) {
	for _, src := range []string{
		`{ }`,
		`{ s := v; x := 1 }`,
		`{ s := v; { v := b.Int24(); s.F = v } }`,
		`{ s := v; { v := other(); s.F = v } }`,
		`{ s := v; if version == 3 { v := b.Int8(); s.F = v } }`,
		`{ s := v; if version >= 3 && other { v := b.Int8(); s.F = v } }`,
		`{ s := v; if isFlexible { other() } }`,
		`{ s := v; if isFlexible { other(); other() } }`,
		`{ s := v; { v := s.F; a := v; s.F = v } }`,
		`{ s := v; { v := &s.F; v.Other(); s := v } }`,
	} {
		e, err := parser.ParseExpr("func()" + src)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseDecoder(e.(*ast.FuncLit).Body); err == nil {
			t.Errorf("%s: no error", src)
		}
	}
}

//go:build clients

package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ottla/integration/kafka"
	"ottla/integration/process"
)

// broker is a running server of either kind.
type broker struct {
	*process.Process
	name    string // "kafka" or "ottla"
	address string
	data    string
}

func kafkaLibs(t *testing.T) kafka.Libs {
	t.Helper()
	libs, err := kafka.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return libs
}

// startKafka starts one node of Apache Kafka; it ends with the test.
func startKafka(t *testing.T, libs kafka.Libs) *broker {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	k, err := libs.Start(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{k.Process, "kafka", k.Address, k.Data}
	t.Cleanup(func() { b.stop(t) })
	return b
}

// startOttla starts the binary that `make build` left in bin over an empty folder; it ends with the test.
func startOttla(t *testing.T, args ...string) *broker {
	t.Helper()
	return serveOttla(t, filepath.Join(t.TempDir(), "data"), args...)
}

// serveOttla is startOttla over a folder.
func serveOttla(t *testing.T, data string, args ...string) *broker {
	t.Helper()
	binary, err := filepath.Abs("../../bin/ottla")
	if err != nil {
		t.Fatal(err)
	}
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := process.Start(ctx, exec.Command(binary, append([]string{"serve", "--data", data, "--listen", address, "--http", "127.0.0.1:0"}, args...)...), address)
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{p, "ottla", address, data}
	t.Cleanup(func() { b.stop(t) })
	return b
}

// stop ends it in good order; twice does no harm.
func (b *broker) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Stop(ctx); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.Logf("the broker on %s said:\n%s", b.address, b.Said())
	}
}

// run executes one invocation and returns what it printed and its exit code.
func run(cmd *exec.Cmd, stdin string) string {
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		fmt.Fprintf(&out, "exit %d\n", exit.ExitCode())
	} else if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintf(&out, "error %v\n", err)
	}
	return out.String()
}

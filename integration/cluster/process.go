package cluster

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// binary builds cmd/ottla once for all tests of the package.
var binary = sync.OnceValues(func() (string, error) {
	path, err := filepath.Abs("../../bin/ottla")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-trimpath", "-o", path, "ottla/cmd/ottla").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// process is `ottla serve` as its own process.
type process struct {
	cmd     *exec.Cmd
	kafka   string // where clients connect, as printed
	http    string
	stderr  *strings.Builder
	exited  chan struct{}
	exitErr error
}

// command is the built binary with arguments.
func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, args...)
}

// serve starts a node over data and waits until it has printed its addresses. It is killed when the test ends.
func serve(t testing.TB, data string, args ...string) *process {
	t.Helper()
	p := &process{stderr: &strings.Builder{}, exited: make(chan struct{})}
	p.cmd = command(t, append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)...)
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	lines := bufio.NewScanner(out)
	for p.http == "" && lines.Scan() {
		if a, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			p.kafka = a
		}
		if a, ok := strings.CutPrefix(lines.Text(), "http on "); ok {
			p.http = a
		}
	}
	go func() {
		defer close(p.exited)
		for lines.Scan() { // read to the end, or Wait would close the pipe under the writer
		}
		p.exitErr = p.cmd.Wait()
	}()
	if p.http == "" {
		<-p.exited
		t.Fatalf("ottla serve: %v\n%s", p.exitErr, p.stderr)
	}
	return p
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// kill ends the process as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

func (p *process) node() *node { return &node{opts: []kgo.Opt{kgo.SeedBrokers(p.kafka)}} }

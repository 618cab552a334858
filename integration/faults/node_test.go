//go:build faults

package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// build makes the binary with a build tag ("" is the plain one), once.
func build(tag string) (string, error) {
	buildOnce.Lock()
	defer buildOnce.Unlock()
	if path, done := built[tag]; done {
		return path, nil
	}
	path, err := filepath.Abs(filepath.Join("..", "..", "bin", strings.TrimSuffix("ottla-"+tag, "-")))
	if err != nil {
		return "", err
	}
	if _, err := shell("go", "build", "-trimpath", "-tags", tag, "-o", path, "ottla/cmd/ottla"); err != nil {
		return "", err
	}
	built[tag] = path
	return path, nil
}

var (
	buildOnce sync.Mutex
	built     = map[string]string{}
)

// node is `ottla serve` over one data folder: stopped, or running as a process. Its addresses stay through restarts, so that clients find it again.
type node struct {
	rig     *rig
	data    string
	kafka   string
	http    string
	set     []string // properties, KEY=VALUE
	tag     string   // of the build
	env     []string
	boot    string   // a file to be shown as the machine's boot id; "": the machine's own
	wrapper []string // a command line that the broker's is appended to

	conn    *rawConn // of raw
	cmd     *exec.Cmd
	log     string // what this process has printed; a file
	exited  chan struct{}
	exitErr error
	readyIn time.Duration // from the start of the process to ready
}

// node prepares a node over a folder; nothing runs yet.
func (r *rig) node(data string, set ...string) *node {
	r.Helper()
	n := &node{rig: r, data: data, kafka: freeAddress(r), http: freeAddress(r), set: set}
	r.Cleanup(n.kill)
	return n
}

// started is a node that runs.
func (r *rig) started(data string, set ...string) *node {
	r.Helper()
	n := r.node(data, set...)
	n.mustStart()
	return n
}

// freeAddress is one of this machine that nobody listens on.
func freeAddress(r *rig) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err, "free address")
	defer l.Close()
	return l.Addr().String()
}

func (n *node) mustStart() {
	n.rig.Helper()
	if err := n.start(); err != nil {
		n.rig.Fatal(err)
	}
}

// start runs the process and waits until it is ready. An error tells how it ended instead.
func (n *node) start() error {
	if err := n.launch(); err != nil {
		return err
	}
	began := time.Now()
	ended := false
	err := poll("ready", func() bool {
		select {
		case <-n.exited:
			ended = true
		default:
		}
		return ended || n.ready()
	})
	n.readyIn = time.Since(began)
	if ended {
		return fmt.Errorf("ottla serve ended: %w\n%s", n.exitErr, n.tail())
	}
	return err
}

// launch runs the process.
func (n *node) launch() error {
	binary, err := build(n.tag)
	if err != nil {
		return err
	}
	args := append(n.wrapped(), binary, "serve", "--data", n.data, "--listen", n.kafka, "--http", n.http)
	for _, s := range n.set {
		args = append(args, "--set", s)
	}
	n.log = filepath.Join(n.rig.dir, n.rig.name("node")+".log")
	out, err := os.Create(n.log)
	if err != nil {
		return err
	}
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.Stdout, n.cmd.Stderr, n.cmd.Env = out, out, append(os.Environ(), n.env...)
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	n.exited = make(chan struct{})
	err = n.cmd.Start()
	if closed := out.Close(); err == nil {
		err = closed // the child has its own
	}
	if err != nil {
		close(n.exited)
		return err
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		n.exitErr = cmd.Wait()
		close(exited)
	}(n.cmd, n.exited)
	return nil
}

// wrapped is the command line in front of the broker's: what shows another boot id, and what the case asks for.
func (n *node) wrapped() []string {
	if n.boot == "" {
		return append([]string(nil), n.wrapper...)
	}
	return append(append([]string{"unshare"}, showBoot(n.boot)...), n.wrapper...)
}

// showBoot is the arguments of unshare that run a command, which follows, with a file in the place of the machine's boot id.
func showBoot(file string) []string {
	return []string{"-m", "--propagation", "slave", "sh", "-c", `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, file}
}

// newBoot has the node see another boot id than before: a broker may take the same one as a sign that the page cache has survived.
func (n *node) newBoot() {
	n.rig.Helper()
	n.boot = filepath.Join(n.rig.dir, n.rig.name("boot"))
	n.rig.must(os.WriteFile(n.boot, fmt.Appendf(nil, "00000000-0000-4000-8000-%012d\n", n.rig.names), 0o644), "boot id")
}

func (n *node) ready() bool {
	code, _, err := n.ask(http.MethodGet, "/readyz", "")
	return err == nil && code == http.StatusOK
}

var operator = http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ask calls the operators' address.
func (n *node) ask(method, path, body string) (code int, answer string, err error) {
	req, err := http.NewRequest(method, "http://"+n.http+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := operator.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// kill ends the process as a crash does; one that has ended already stays so.
func (n *node) kill() {
	if n.cmd == nil || n.cmd.Process == nil {
		return
	}
	_ = n.cmd.Process.Kill() // it may have ended already
	<-n.exited
	n.hangUp()
	n.alive()
}

// stop ends the process in order; it must succeed.
func (n *node) stop() {
	n.rig.Helper()
	n.rig.must(n.cmd.Process.Signal(syscall.SIGTERM), "stop")
	if err := n.waitExit(); err != nil {
		n.rig.Fatal(err)
	}
	if n.exitErr != nil {
		n.rig.Fatalf("stop: %v\n%s", n.exitErr, n.tail())
	}
	n.hangUp()
	n.alive()
}

// hangUp ends the connection to a process that has gone.
func (n *node) hangUp() {
	n.conn.close()
	n.conn = nil
}

// waitExit waits for the process to end by itself.
func (n *node) waitExit() error {
	select {
	case <-n.exited:
		return nil
	case <-time.After(patience):
		return errors.New("the process has not ended\n" + n.tail())
	}
}

func (n *node) running() bool {
	select {
	case <-n.exited:
		return false
	default:
		return true
	}
}

// alive fails the case if the process has panicked: no fault may do that.
func (n *node) alive() {
	n.rig.Helper()
	for _, word := range []string{"panic:", "fatal error:", "DATA RACE", "SIGBUS"} {
		if n.logged(word) {
			n.rig.Errorf("alive: the node's log has %q\n%s", word, n.tail())
		}
	}
}

// logged tells whether the process has printed a line with all of the words.
func (n *node) logged(words ...string) bool {
	f, err := os.Open(n.log)
	if err != nil {
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
next:
	for lines.Scan() {
		for _, w := range words {
			if !strings.Contains(lines.Text(), w) {
				continue next
			}
		}
		return true
	}
	return false
}

// tail is the end of what the process has printed.
func (n *node) tail() string {
	b, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// pid is the broker's, also below a wrapper that stays.
func (n *node) pid() string { return fmt.Sprint(n.cmd.Process.Pid) }

// metric reads a figure of /metrics, summed up over its labels; there must be one of the name.
func (n *node) metric(name string) float64 {
	n.rig.Helper()
	_, text, err := n.ask(http.MethodGet, "/metrics", "")
	n.rig.must(err, "metrics")
	sum, known := 0.0, false
	for line := range strings.Lines(text) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if base, _, _ := strings.Cut(series, "{"); ok && base == name {
			var f float64
			_, err := fmt.Sscan(value, &f)
			n.rig.must(err, "metrics: %s", line)
			sum, known = sum+f, true
		}
	}
	if !known {
		n.rig.Fatalf("metrics: there is no %s", name)
	}
	return sum
}

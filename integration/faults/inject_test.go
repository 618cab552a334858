//go:build faults

package faults

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// calls are the system calls of a kind of operation, for strace.
var calls = map[string]string{
	"write": "pwrite64,pwritev,pwritev2", "sync": "fsync,fdatasync,syncfs", "rename": "rename,renameat,renameat2", "remove": "unlink,unlinkat", "truncate": "ftruncate", "read": "pread64,preadv",
}

// tampering is what strace does instead of a call, by action.
var tampering = map[string]string{"eio": "error=EIO", "enospc": "error=ENOSPC", "erofs": "error=EROFS", "kill": "signal=KILL", "delay=500ms": "delay_enter=500000"}

// injectable prepares a node that inject can be used on: a build with failpoints where the source has them, else any.
func (r *rig) injectable(data string, set ...string) *node {
	n := r.node(data, set...)
	if failpoints() == "" {
		n.tag = "failpoint"
	}
	return n
}

// inject has all operations of a kind fail from now on, as the action says, in the running node. heal ends that and may be called again.
func (n *node) inject(action, kind string) (heal func()) {
	n.rig.Helper()
	n.rig.outcome.Faults++
	if n.tag == "failpoint" {
		n.setFailpoints(fmt.Sprintf("%s:%s:*", action, kind))
		return func() {
			if n.running() {
				n.setFailpoints("")
			}
		}
	}
	return n.trace("--inject=" + calls[kind] + ":" + tampering[action])
}

// setFailpoints replaces the running node's failpoints. One may have killed it before it can answer.
func (n *node) setFailpoints(spec string) {
	n.rig.Helper()
	code, answer, err := n.ask(http.MethodPut, "/debug/failpoint", spec)
	if err != nil && spec != "" && poll("the end of a node that does not answer", func() bool { return !n.running() }) == nil {
		return
	}
	if err == nil && code/100 != 2 {
		err = fmt.Errorf("answer %d: %s", code, answer)
	}
	n.rig.must(err, "failpoint %q", spec)
}

// trace attaches strace to the running node until heal.
func (n *node) trace(args ...string) (heal func()) {
	n.rig.Helper()
	cmd := exec.Command("strace", append([]string{"-f", "-q", "-o", os.DevNull, "-p", n.pid()}, args...)...)
	n.rig.must(cmd.Start(), "strace")
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it ends with the node, or by the signal below
		close(ended)
	}()
	heal = func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended
		<-ended
	}
	n.rig.Cleanup(heal)
	n.rig.must(poll("strace attached", func() bool {
		b, err := os.ReadFile("/proc/" + n.pid() + "/status")
		return err != nil || !strings.Contains(string(b), "TracerPid:\t0\n")
	}), "strace")
	return heal
}

// mustFail waits for the node to end by itself, and demands that its exit code says that something was wrong.
func (n *node) mustFail() {
	n.rig.Helper()
	if err := n.waitExit(); err != nil {
		n.rig.Fatalf("fail-stop: %v", err)
	}
	if n.exitErr == nil {
		n.rig.Errorf("fail-stop: the node ended with exit code 0\n%s", n.tail())
	}
	n.alive()
}

//go:build failpoint

package vfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFailpointsFireWhereTheySay: kind, pattern and count decide.
func TestFailpointsFireWhereTheySay(t *testing.T) {
	create := func(list string, names ...string) string {
		rules, err := ParseFailpoints(list)
		if err != nil {
			t.Fatal(err)
		}
		m := NewMem()
		if err := m.MkdirAll("d/t-0"); err != nil {
			t.Fatal(err)
		}
		f, out := NewFaulty(m, rules...), ""
		for _, name := range names {
			switch _, err := f.Create(name); {
			case err == nil:
				out += "."
			case errors.Is(err, syscall.EIO):
				out += "i"
			case errors.Is(err, syscall.ENOSPC):
				out += "s"
			default:
				t.Fatal(err)
			}
		}
		return out
	}
	for _, c := range []struct{ list, names, want string }{
		{"", "d/a", "."},
		{"eio:create:*", "d/a d/b", "ii"},
		{"eio:create:*:2", "d/a d/b d/c", ".i."},
		{"eio:create:*:2+", "d/a d/b d/c", ".ii"},
		{"eio:create:*.log", "d/a.log d/t-0/b.log d/c", "ii."},
		{"eio:create:t-0/*.log", "d/a.log d/t-0/b.log d/t-0/c", ".i."},
		{"eio:write|create:a;enospc:*:*", "d/a d/b", "is"},
		{"eio:create:*:%1", "d/a d/b", "ii"},
		{"delay=1ns:create:*:1+; eio:create:*", "d/a", "."},
		{"eio:sync:*", "d/a", "."},
	} {
		if got := create(c.list, strings.Fields(c.names)...); got != c.want {
			t.Errorf("%s: %s", c.list, got)
		}
	}
}

func TestFailpointsThatAreNone(t *testing.T) {
	for _, list := range []string{"eio", "eio:create", "eio:create:*:1:2", "explode:create:*", "eio:frobnicate:*", "eio:create:[", "eio:create:*:0", "eio:create:*:x", "eio:create:*:%2", "eio:create:*:%0.5@x", "delay=soon:create:*"} {
		if _, err := ParseFailpoints(list); err == nil {
			t.Errorf("%s is taken", list)
		}
	}
}

// TestKillingFailpoints: the process ends by SIGKILL before a call, after it, or in the middle of it.
func TestKillingFailpoints(t *testing.T) {
	if name := os.Getenv("OTTLA_TEST_VICTIM"); name != "" {
		fsys, err := System()
		if err != nil {
			t.Fatal(err)
		}
		f, err := fsys.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte("12345678"), 0)
		t.Fatal("survived", err)
	}
	for list, want := range map[string]string{"kill:write:*.log": "", "killafter:write:*.log": "12345678", "tear:write:*.log": "1234"} {
		name := filepath.Join(t.TempDir(), "x.log")
		c := exec.Command(os.Args[0], "-test.run=TestKillingFailpoints")
		c.Env = append(os.Environ(), FailpointEnv+"="+list, "OTTLA_TEST_VICTIM="+name)
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("%s: %v\n%s", list, err, out)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: left %q, %v", list, got, err)
		}
	}
}

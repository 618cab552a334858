//go:build faults

package faults

import (
	"os"
	"os/exec"
	"strings"
	"sync"
)

// need tells what is missing for a case, "" if nothing is.
type need func() string

func root() string {
	if os.Geteuid() != 0 {
		return "needs root"
	}
	return ""
}

// tool needs a program of the system.
func tool(names ...string) need {
	return func() string {
		for _, n := range names {
			if _, err := exec.LookPath(n); err != nil {
				return "needs the program " + n
			}
		}
		return ""
	}
}

// loops needs root, loop devices and ext4: asked once, by making a small one.
var loops need = sync.OnceValue(func() string {
	if missing := root(); missing != "" {
		return missing
	}
	if missing := tool("mount", "umount", "losetup", "mkfs.ext4", "unshare")(); missing != "" {
		return missing
	}
	if _, err := shell("losetup", "-f"); err != nil {
		return "needs loop devices: " + err.Error()
	}
	return ""
})

// failpoints needs a broker that can be told to fail: the build with the tag failpoint, asked once.
var failpoints need = sync.OnceValue(func() string {
	b, err := build("failpoint")
	if err != nil {
		return err.Error()
	}
	out, err := exec.Command("grep", "-c", "OTTLA_FAILPOINT", b).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) == "0" {
		return "needs failpoints, and this source has none"
	}
	return ""
})

// injection needs either means to make calls of the broker fail.
func injection() string {
	if failpoints() == "" || tool("strace")() == "" {
		return ""
	}
	return "needs failpoints or the program strace"
}

//go:build faults

package faults

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
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

// loops needs root, loop devices, ext4 that can be shut down, and a mount namespace for another boot id: asked once, by trying them. A container may have root and none of these.
var loops need = sync.OnceValue(func() string {
	if missing := mounts(); missing != "" {
		return missing
	}
	if missing := tool("umount", "losetup", "mkfs.ext4")(); missing != "" {
		return missing
	}
	dir, err := os.MkdirTemp("", "faults-")
	if err == nil {
		err = errors.Join(tryLoop(dir), os.RemoveAll(dir))
	}
	if err != nil {
		return "needs loop devices with ext4: " + err.Error()
	}
	return ""
})

// tryLoop mounts a small file system in dir, shuts it down and takes it away again.
func tryLoop(dir string) error {
	image, mounted := filepath.Join(dir, "image"), filepath.Join(dir, "mounted")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 8<<20), os.Mkdir(mounted, 0o700)); err != nil {
		return err
	}
	if _, err := shell("mkfs.ext4", "-q", "-F", image); err != nil {
		return err
	}
	if _, err := shell("mount", "-o", "loop", image, mounted); err != nil {
		return err
	}
	err := shutDown(mounted)
	_, unmounted := shell("umount", mounted)
	return errors.Join(err, unmounted)
}

// mounts needs root and a mount namespace of one's own, in which a file can be shown in another's place: asked once, by trying.
var mounts need = sync.OnceValue(func() string {
	if missing := root(); missing != "" {
		return missing
	}
	if missing := tool("mount", "unshare")(); missing != "" {
		return missing
	}
	if _, err := shell("unshare", append(showBoot("/dev/null"), "true")...); err != nil {
		return "needs mount namespaces: " + err.Error()
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

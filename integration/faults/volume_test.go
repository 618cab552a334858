//go:build faults

package faults

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

// volume is a file system of its own, on a loop device over an image, that faults can be done to without touching the machine's.
type volume struct {
	rig   *rig
	image string
	dir   string // where it is mounted
}

// volume makes an ext4 of so many MiB and mounts it; more arguments go to mkfs. Its journal is committed each second, so that cuts fall between what the kernel has written
// back by itself and what it has not.
func (r *rig) volume(mib int, mkfs ...string) *volume {
	r.Helper()
	name := r.name("volume")
	v := &volume{rig: r, image: filepath.Join(r.dir, name+".img"), dir: filepath.Join(r.dir, name)}
	f, err := os.Create(v.image)
	if err == nil {
		err = errors.Join(f.Truncate(int64(mib)<<20), f.Close(), os.Mkdir(v.dir, 0o755))
	}
	r.must(err, "image")
	_, err = shell("mkfs.ext4", append([]string{"-q", "-F", "-m", "0"}, append(mkfs, v.image)...)...)
	r.must(err, "mkfs")
	r.Cleanup(v.discard)
	v.mount()
	return v
}

func (v *volume) mount() {
	v.rig.Helper()
	_, err := shell("mount", "-o", "loop,errors=remount-ro,commit=1", v.image, v.dir)
	v.rig.must(err, "mount")
}

// unmount takes the file system down and waits until the kernel has let go of it: mounted too early, it would come back as it was in memory.
func (v *volume) unmount() {
	v.rig.Helper()
	v.rig.must(poll("umount", func() bool { return syscall.Unmount(v.dir, 0) == nil }), "umount %s", v.dir)
	v.rig.must(poll("detach", v.detached), "detach %s", v.image)
}

func (v *volume) detached() bool {
	out, err := shell("losetup", "-j", v.image)
	return err == nil && out == ""
}

// discard undoes everything, whatever state it is in.
func (v *volume) discard() {
	if err := syscall.Unmount(v.dir, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
		v.rig.Errorf("umount %s: %v", v.dir, err)
	}
	if err := poll("detach", v.detached); err != nil {
		v.rig.Errorf("the loop device of %s stays: %v", v.image, err)
	}
}

// The ioctl that shuts a file system down (EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN), and its mode in which nothing more reaches the disk, not even the journal.
const (
	ioctlShutdown = 0x8004587d
	noLogFlush    = 2
)

// cut is the moment at which the power goes: nothing is written any more.
func (v *volume) cut() {
	v.rig.Helper()
	v.rig.must(shutDown(v.dir), "power cut")
}

// shutDown has the file system of a folder write nothing more.
func shutDown(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	mode := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, d.Fd(), ioctlShutdown, uintptr(unsafe.Pointer(&mode))); errno != 0 {
		return os.NewSyscallError("shut down", errno)
	}
	return nil
}

// powerCut cuts the power under a running node and gives it back: the node is down, the disk has what had reached it, and the machine's boot id is another.
func (v *volume) powerCut(n *node) {
	v.rig.Helper()
	v.cut()
	n.kill()
	v.unmount()
	v.mount()
	n.newBoot()
}

// freeze stalls every write to the volume until thaw.
func (v *volume) freeze() {
	v.rig.Helper()
	v.rig.Cleanup(func() { _, _ = shell("fsfreeze", "-u", v.dir) }) // before the node is killed: a frozen one does not die; as a rule it is thawed by then
	_, err := shell("fsfreeze", "-f", v.dir)
	v.rig.must(err, "freeze")
}

func (v *volume) thaw() {
	v.rig.Helper()
	_, err := shell("fsfreeze", "-u", v.dir)
	v.rig.must(err, "thaw")
}

// fill takes all room that is left, to the last byte, into a file; the remedy is to remove that.
func (v *volume) fill() (ballast string) {
	v.rig.Helper()
	ballast = filepath.Join(v.dir, "ballast")
	f, err := os.OpenFile(ballast, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	v.rig.must(err, "fill")
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else {
			v.rig.must(err, "fill")
		}
	}
	if err := f.Sync(); !errors.Is(err, syscall.ENOSPC) {
		v.rig.must(err, "fill")
	}
	v.rig.must(f.Close(), "fill")
	return ballast
}

// device is the volume's loop device, by its short name.
func (v *volume) device() string {
	v.rig.Helper()
	out, err := shell("losetup", "-n", "-O", "NAME", "-j", v.image)
	v.rig.must(err, "losetup")
	return filepath.Base(out)
}

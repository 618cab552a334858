//go:build faults

package faults

import (
	"os/exec"
	"strings"
)

// verification runs `ottla log verify` over the stopped node's folder; known is false where the binary has no such command.
func (n *node) verification() (found string, known bool, err error) {
	n.rig.Helper()
	binary, err := build(n.tag)
	n.rig.must(err, "build")
	if help, err := exec.Command(binary, "log", "verify", "--help").CombinedOutput(); err != nil || !strings.Contains(string(help), "ottla log verify") {
		n.rig.Log("there is no `ottla log verify` in this source")
		return "", false, nil
	}
	out, err := exec.Command(binary, "log", "verify", n.data).CombinedOutput()
	return string(out), true, err
}

// verify demands that everything in the folder is sound.
func (n *node) verify() {
	n.rig.Helper()
	if found, known, err := n.verification(); known && err != nil {
		n.rig.Errorf("ottla log verify: %v\n%s", err, found)
	}
}

package vfs

// What follows looks at what a power cut would leave, without one: for tests that ask after every step.

// Durable is the file's bytes as a power cut that takes all that is not synced would leave them; false if it would leave no file of this name.
func (m *Mem) Durable(name string) ([]byte, bool) {
	m.mu.Lock()
	n := m.durable(name)
	m.mu.Unlock()
	if n == nil || n.data == nil {
		return nil, false
	}
	d := n.data
	d.mu.RLock()
	defer d.mu.RUnlock()
	b := make([]byte, d.durable.size)
	d.durable.copyTo(b, 0)
	return b, true
}

// durable is the inode that the name leads to after a cut; nil if none. The caller holds m.mu.
func (m *Mem) durable(name string) *inode {
	n := m.root
	for _, part := range split(name) {
		if n.dir == nil {
			return nil
		}
		if n = n.dir.durable[part]; n == nil {
			return nil
		}
	}
	return n
}

// Synced tells whether a power cut would leave the file, or the folder with all that is in it, as it is now.
func (m *Mem) Synced(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	return err == nil && m.durable(name) == n && n.synced()
}

// synced is called under the file system's mu.
func (n *inode) synced() bool {
	if n.dir == nil {
		return !n.data.dirty()
	}
	if len(n.dir.names) != len(n.dir.durable) {
		return false
	}
	for name, child := range n.dir.names {
		if n.dir.durable[name] != child || !child.synced() {
			return false
		}
	}
	return true
}

package vfs

import "testing"

func TestDurable(t *testing.T) {
	m := NewMem()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when, bytes string, exists, synced bool) {
		t.Helper()
		b, ok := m.Durable("d/f")
		if string(b) != bytes || ok != exists || m.Synced("d") != synced {
			t.Errorf("%s: %q, %v, synced %v; want %q, %v, %v", when, b, ok, m.Synced("d"), bytes, exists, synced)
		}
	}
	must(m.MkdirAll("d"))
	f, err := m.Create("d/f")
	must(err)
	_, err = f.WriteAt([]byte("one"), 0)
	must(err)
	expect("written", "", false, false)
	must(f.Sync())
	expect("synced without its name", "", false, false)
	must(m.SyncDir("d"))
	must(m.SyncDir("/"))
	expect("synced", "one", true, true)
	_, err = f.WriteAt([]byte("two"), 0)
	must(err)
	expect("written over", "one", true, false)
	must(f.SyncData())
	expect("synced again", "two", true, true)
	must(m.Remove("d/f"))
	expect("removed", "two", true, false)
	if m.Synced("nothing") {
		t.Error("what does not exist is synced")
	}
}

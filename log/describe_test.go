package log

import (
	"errors"
	"testing"

	"ottla/log/vfs"
	"ottla/protocol"
)

func TestDescribe(t *testing.T) {
	s := openStore(t, vfs.NewMem(), "/a", "/b")
	l := openLog(t, s, DefaultConfig(), NopObserver{})
	mustAppend(t, l, records(1000, "one", "two"), 0)
	dirs := s.Describe()
	if len(dirs) != 2 || dirs[0].Path != "/a" || dirs[1].Path != "/b" || dirs[0].Err != nil || dirs[0].Total <= 0 || dirs[0].Free > dirs[0].Total {
		t.Fatalf("%+v", dirs)
	}
	logs := append(dirs[0].Logs, dirs[1].Logs...)
	if len(logs) != 1 || logs[0].Partition != l.TopicPartition() || logs[0].Size != l.Size() || logs[0].Size == 0 {
		t.Errorf("%+v", logs)
	}
	if producers, err := l.Producers(); err != nil || len(producers) != 0 {
		t.Errorf("%+v, %v", producers, err)
	}
	l.dir.fail(errors.New("disk on fire"))
	for _, d := range s.Describe() {
		if offline := d.Path == l.Directory(); offline != (d.Err != nil) || offline && len(d.Logs) != 0 {
			t.Errorf("%+v", d)
		}
	}
	if _, err := l.Producers(); protocol.ErrorCode(err) == 0 {
		t.Error("a log that is offline tells its producers")
	}
}

package classic

import (
	"time"

	"ottla/group/runtime"
)

// turn gathers what one operation wants done.
type turn struct {
	now       time.Time
	records   []runtime.Record
	size      int // bytes of the records
	committed []func()
	failed    []func(error)
}

// write appends a record. One of the two is called later: committed when the high watermark has passed it, failed when it was not appended.
func (t *turn) write(r runtime.Record, committed func(), failed func(error)) {
	t.records = append(t.records, r)
	t.size += len(r.Key) + len(r.Value)
	t.committed = append(t.committed, committed)
	t.failed = append(t.failed, failed)
}

func (t *turn) effects() runtime.Effects {
	if len(t.records) == 0 {
		return runtime.Effects{}
	}
	return runtime.Effects{
		Records: t.records,
		Committed: func() {
			for _, f := range t.committed {
				f()
			}
		},
		Failed: func(err error) {
			for _, f := range t.failed {
				f(err)
			}
		},
	}
}

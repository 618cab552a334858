package replica

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/vfs"
)

func TestProducersAreTheLeaders(t *testing.T) {
	b := boot(t, vfs.NewMem(), topic("t", 1)...)
	defer b.stop(t)
	p := b.leader(t, "t", 0)
	p.mustAppend(t, 1, 1)
	if got, err := p.Producers(); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	b.apply(deletion("t"))
	if _, err := p.Producers(); !errors.Is(err, kerr.NotLeaderForPartition) {
		t.Errorf("of a topic that is gone: %v", err)
	}
}

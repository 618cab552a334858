package runtime

import (
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
)

func TestMetricsCountWhatHappens(t *testing.T) {
	registry := prometheus.NewRegistry()
	NewMetrics(registry, "__another") // beside, not against
	m := NewMetrics(registry, topic)
	inBubble(t, Options[*toy]{Metrics: m, MaxQueue: 4}, func(t *testing.T, g *rig, p *partition) {
		release := g.busy(0)
		for _, v := range []string{"1", "2", "3", "4"} {
			g.put(0, "a", v) // the last finds the queue full
		}
		release()
		synctest.Wait()
		p.commit(3)
		synctest.Wait()
		p.refuse(kerr.NotEnoughReplicas)
		g.put(0, "a", "5")
		synctest.Wait()
		for what, c := range map[string]struct {
			got  prometheus.Collector
			want float64
		}{
			"shards": {m.shards, 1}, "committed": {m.done, 4}, "refused": {m.turnedAway, 1}, "failed": {m.undone, 1}, "appends": {m.batches, 1}, "records": {m.records, 3}, "append failures": {m.fell, 1},
		} {
			if got := testutil.ToFloat64(c.got); got != c.want {
				t.Errorf("%s: %v, want %v", what, got, c.want)
			}
		}
	})
	if got := testutil.ToFloat64(m.shards); got != 0 {
		t.Errorf("%v shards are left", got)
	}
}

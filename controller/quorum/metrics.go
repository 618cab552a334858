package quorum

import "github.com/prometheus/client_golang/prometheus"

// Metrics of the metadata quorum as this node sees it.
type Metrics struct {
	term, commit, applied prometheus.Gauge
	proposals             prometheus.Counter
	commitLatency         prometheus.Histogram
	snapshotSize          prometheus.Gauge
}

// NewMetrics makes the metrics and registers them; with a nil registerer they are only counted.
func NewMetrics(r prometheus.Registerer) *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &Metrics{
		term:    gauge("ottla_raft_term", "Current term of the metadata quorum."),
		commit:  gauge("ottla_raft_commit_index", "Last metadata offset known to be committed."),
		applied: gauge("ottla_raft_applied_index", "Last metadata offset applied on this node."),
		proposals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ottla_raft_proposals_total", Help: "Changes of metadata that this node proposed as leader.",
		}),
		commitLatency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ottla_raft_apply_seconds", Help: "Time from proposing a change of metadata until it is committed and applied here.",
			Buckets: prometheus.ExponentialBuckets(0.000125, 2, 16),
		}),
		snapshotSize: gauge("ottla_raft_snapshot_bytes", "Size of the metadata snapshot written last."),
	}
	if r != nil {
		r.MustRegister(m.term, m.commit, m.applied, m.proposals, m.commitLatency, m.snapshotSize)
	}
	return m
}

func (m *Metrics) progress(term, commit, applied uint64) {
	m.term.Set(float64(term))
	m.commit.Set(float64(commit))
	m.applied.Set(float64(applied))
}

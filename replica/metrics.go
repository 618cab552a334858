package replica

import "github.com/prometheus/client_golang/prometheus"

// Metrics of the replicas on this broker.
type Metrics struct {
	partitions prometheus.Gauge
	offline    prometheus.Counter
}

// NewMetrics makes the metrics and registers them; with a nil registerer they are only counted.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		partitions: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ottla_replicas", Help: "Partitions with a replica on this broker."}),
		offline: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ottla_replicas_failed_total", Help: "Replicas whose log went offline: damage, a lost folder, or a failed disk.",
		}),
	}
	if r != nil {
		r.MustRegister(m.partitions, m.offline)
	}
	return m
}

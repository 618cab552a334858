package ottla

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ottla/controller/quorum"
	"ottla/group"
	"ottla/group/runtime"
	"ottla/log"
	"ottla/protocol/server"
	"ottla/replica"
)

// metrics is the node's own registry: two nodes in one process do not share figures.
type metrics struct {
	registry   *prometheus.Registry
	log        *log.Metrics
	controller *quorum.Metrics
	replica    *replica.Metrics
	server     *server.Metrics
	groups     *runtime.Metrics
}

func newMetrics() *metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &metrics{registry: r, log: log.NewMetrics(r), controller: quorum.NewMetrics(r), replica: replica.NewMetrics(r), server: server.NewMetrics(r),
		groups: runtime.NewMetrics(r, group.Topic)}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// showLag adds what the groups of a coordinator have not read.
func (m *metrics) showLag(c *group.Coordinator) {
	m.registry.MustRegister(group.LagCollector{Coordinator: c})
}

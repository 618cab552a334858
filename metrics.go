package ottla

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ottla/controller"
	"ottla/log"
	"ottla/protocol/server"
	"ottla/replica"
)

// metrics is the node's own registry: two nodes in one process do not share figures.
type metrics struct {
	registry   *prometheus.Registry
	log        *log.Metrics
	controller *controller.Metrics
	replica    *replica.Metrics
	server     *server.Metrics
}

func newMetrics() *metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &metrics{registry: r, log: log.NewMetrics(r), controller: controller.NewMetrics(r), replica: replica.NewMetrics(r), server: server.NewMetrics(r)}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

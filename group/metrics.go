package group

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ottla/protocol"
)

var (
	lagRecords = prometheus.NewDesc("ottla_group_lag_records", "Records that a group has not read yet.", []string{"group", "topic", "partition"}, nil)
	lagSeconds = prometheus.NewDesc("ottla_group_lag_seconds", "Age of the first record that a group has not read yet; 0 if it has read all.", []string{"group", "topic", "partition"}, nil)
)

// lagTimeout bounds a scrape.
const lagTimeout = 5 * time.Second

// LagCollector shows the lag of every partition of every group that a coordinator has. What cannot be told is left out.
type LagCollector struct{ Coordinator *Coordinator }

// Describe implements prometheus.Collector.
func (l LagCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- lagRecords
	descs <- lagSeconds
}

// Collect implements prometheus.Collector.
func (l LagCollector) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lagTimeout)
	defer cancel()
	lags, err := l.Coordinator.Lags(ctx)
	if err != nil {
		l.Coordinator.Logger.Debug("no lags of groups to show", slog.Any("error", err)) // while shards load
		return
	}
	show := func(of *prometheus.Desc, value float64, p *PartitionLag) {
		m, err := prometheus.NewConstMetric(of, prometheus.GaugeValue, value, protocol.Printable(p.Group), p.Topic, strconv.Itoa(int(p.Partition)))
		if err == nil { // else the topic's name is no text, as no broker takes one
			metrics <- m
		}
	}
	for n := range lags {
		p := &lags[n]
		if p.Records != Unknown {
			show(lagRecords, float64(p.Records), p)
		}
		if p.Age != Unknown {
			show(lagSeconds, p.Age.Seconds(), p)
		}
	}
}

package log

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the figures of all logs of a node together: their number does not grow with partitions. nil counts nothing.
type Metrics struct {
	appends, bytes, rolls, reads, failures, refusals            prometheus.Counter
	recoveries, recoveredBytes, recoverySeconds, cuts, cutBytes prometheus.Counter
	damages, scrubbedBytes, badRanges, losses                   prometheus.Counter
	cleanings, cleanedRead, cleanedWritten, cleanFailures       prometheus.Counter
	quarantined                                                 prometheus.Gauge

	flush prometheus.Histogram
	store atomic.Pointer[Store] // whose sizes are shown

	size, logs, files, offline, free, full, ballast, stalled *prometheus.Desc
}

// NewMetrics registers the figures with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "ottla", Subsystem: "log", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("ottla_log_"+name, help, []string{"directory"}, nil)
	}
	m := &Metrics{
		appends:    counter("appends_total", "Appends of all partitions: writes, not records."),
		bytes:      counter("appended_bytes_total", "Bytes appended."),
		rolls:      counter("segment_rolls_total", "Segments begun because the one before was full or old."),
		recoveries: counter("recoveries_total", "Partitions that were recovered after an unclean stop."),
		cuts:       counter("recovery_cuts_total", "Recoveries that found a bad batch past the recovery point and cut the log there."),
		cutBytes:   counter("recovery_cut_bytes_total", "Bytes that recoveries have cut off."),

		recoveredBytes:  counter("recovery_read_bytes_total", "Bytes that recoveries have read and checked."),
		recoverySeconds: counter("recovery_seconds_total", "Time that recoveries took, of all partitions together."),
		damages:         counter("damaged_total", "Partitions taken offline because durable records are damaged."),
		losses:          counter("maybe_lost_total", "Partitions without durability (ottla.durability=memory) that a power cut has met: records that were in memory alone may be lost."),
		scrubbedBytes:   counter("scrubbed_bytes_total", "Bytes that the scrub has read again and checked."),
		badRanges:       counter("damaged_ranges_total", "Ranges of records found damaged, which are not served any more; the rest of their partitions is."),

		reads:    counter("reads_total", "Ranges handed out for reading."),
		failures: counter("directory_failures_total", "Log directories taken offline."),
		refusals: counter("appends_refused_total", "Appends of clients that were refused because the disk was nearly full."),

		cleanings:      counter("cleaner_passes_total", "Passes of compaction over a partition."),
		cleanedRead:    counter("cleaner_read_bytes_total", "Bytes that compaction has looked at in order to copy what stays."),
		cleanedWritten: counter("cleaner_written_bytes_total", "Bytes that compaction has kept."),
		cleanFailures:  counter("cleaner_failures_total", "Partitions that could not be compacted, each time that it was tried."),
		quarantined:    prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "ottla", Subsystem: "log", Name: "cleaner_quarantined_partitions", Help: "Partitions that compaction leaves alone for a while because it has failed."}),

		flush: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "ottla", Subsystem: "log", Name: "flush_seconds", Help: "Time of one pass of a directory's flusher.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		size:    gauge("size_bytes", "Bytes of batches in the partitions that were used since the start."),
		logs:    gauge("partitions", "Partitions that are open."),
		files:   prometheus.NewDesc("ottla_log_open_files", "Files that the cache of open files holds.", nil, nil),
		offline: gauge("directory_offline", "1 for a log directory that is offline."),
		free:    gauge("disk_free_bytes", "Bytes left on the directory's file system, when last looked at."),
		full:    gauge("disk_full", "1 while appends of clients are refused because the disk is nearly full."),
		ballast: gauge("ballast_bytes", "Bytes put by for what must be written on a full disk."),
		stalled: gauge("disk_stalled_seconds", "How long a write or fsync has been under way that is overdue; 0 if none is."),
	}
	r.MustRegister(m.flush, m.quarantined, m)
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(c chan<- *prometheus.Desc) {
	c <- m.size
	c <- m.logs
	c <- m.files
	c <- m.offline
	c <- m.free
	c <- m.full
	c <- m.ballast
	c <- m.stalled
}

// Collect implements prometheus.Collector: what is cheaper to ask for than to count.
func (m *Metrics) Collect(c chan<- prometheus.Metric) {
	s := m.store.Load()
	if s == nil {
		return
	}
	c <- prometheus.MustNewConstMetric(m.files, prometheus.GaugeValue, float64(s.files.Open()))
	for _, d := range s.dirs {
		size, logs := d.figures()
		c <- prometheus.MustNewConstMetric(m.size, prometheus.GaugeValue, float64(size), d.path)
		c <- prometheus.MustNewConstMetric(m.logs, prometheus.GaugeValue, float64(logs), d.path)
		c <- prometheus.MustNewConstMetric(m.offline, prometheus.GaugeValue, one(d.err() != nil), d.path)
		c <- prometheus.MustNewConstMetric(m.free, prometheus.GaugeValue, float64(d.room.free.Load()), d.path)
		c <- prometheus.MustNewConstMetric(m.full, prometheus.GaugeValue, one(d.room.refusal.Load() != nil), d.path)
		c <- prometheus.MustNewConstMetric(m.ballast, prometheus.GaugeValue, float64(d.room.ballast.Size()), d.path)
		c <- prometheus.MustNewConstMetric(m.stalled, prometheus.GaugeValue, d.stallIn().Seconds(), d.path)
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// figures sums up the logs; it loads none.
func (d *directory) figures() (size int64, logs int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.logs {
		for _, s := range *l.segments.Load() {
			size += s.Size()
		}
	}
	return size, len(d.logs)
}

// The methods below take a nil receiver.

func (m *Metrics) observe(s *Store) {
	if m != nil {
		m.store.Store(s)
	}
}

func (m *Metrics) appended(bytes int) {
	if m != nil {
		m.appends.Inc()
		m.bytes.Add(float64(bytes))
	}
}

func (m *Metrics) read() {
	if m != nil {
		m.reads.Inc()
	}
}

func (m *Metrics) rolled() {
	if m != nil {
		m.rolls.Inc()
	}
}

func (m *Metrics) recovered(bytes int64, took time.Duration) {
	if m != nil {
		m.recoveries.Inc()
		m.recoveredBytes.Add(float64(bytes))
		m.recoverySeconds.Add(took.Seconds())
	}
}

func (m *Metrics) cutTail(bytes int64) {
	if m != nil {
		m.cuts.Inc()
		m.cutBytes.Add(float64(bytes))
	}
}

func (m *Metrics) damaged() {
	if m != nil {
		m.damages.Inc()
	}
}

func (m *Metrics) scrubbed(bytes int64) {
	if m != nil {
		m.scrubbedBytes.Add(float64(bytes))
	}
}

func (m *Metrics) foundBadRange() {
	if m != nil {
		m.badRanges.Inc()
	}
}

func (m *Metrics) directoryFailed() {
	if m != nil {
		m.failures.Inc()
	}
}

func (m *Metrics) maybeLost() {
	if m != nil {
		m.losses.Inc()
	}
}

func (m *Metrics) appendRefused() {
	if m != nil {
		m.refusals.Inc()
	}
}

func (m *Metrics) cleaned(s cleanStats) {
	if m != nil {
		m.cleanings.Add(float64(s.passes))
		m.cleanedRead.Add(float64(s.BytesRead))
		m.cleanedWritten.Add(float64(s.BytesWritten))
	}
}

func (m *Metrics) cleanFailed() {
	if m != nil {
		m.cleanFailures.Inc()
	}
}

func (m *Metrics) setAside(partitions int) {
	if m != nil {
		m.quarantined.Set(float64(partitions))
	}
}

func (m *Metrics) flushed(d time.Duration) {
	if m != nil {
		m.flush.Observe(d.Seconds())
	}
}

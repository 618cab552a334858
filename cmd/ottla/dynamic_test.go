package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TestBrokerConfigReachesOpenLogs changes the segment size of the cluster, as kafka-configs does, under a log that is open: it rolls by the new size.
func TestBrokerConfigReachesOpenLogs(t *testing.T) {
	b := startBroker(t)
	b.ottla(t, "first\n", "produce", "t")
	to := connection{brokers: []string{b.address}}
	adm, done, err := to.admin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	size := "1048576"
	rs, err := adm.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "log.segment.bytes", Value: &size}})
	if err != nil || rs[0].Err != nil {
		t.Fatal(err, rs)
	}
	line := strings.Repeat("x", 700<<10) + "\n"
	b.ottla(t, line+line+line, "produce", "t")
	segments, err := filepath.Glob(filepath.Join(b.data, "t-0", "*.log"))
	if err != nil || len(segments) < 2 {
		t.Errorf("%v, %v", segments, err)
	}
}

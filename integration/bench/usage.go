package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// usage is what a process has used.
type usage struct {
	cpuS  float64 // user and system time so far
	rssMB float64 // resident now
}

// span is what a broker used while something ran.
type span struct {
	usage   // rssMB is that at its end
	seconds float64
}

// spent runs f.
func spent(b broker, f func() error) (span, error) {
	before, err := usageOf(b)
	if err != nil {
		return span{}, err
	}
	began := time.Now()
	if err := f(); err != nil {
		return span{}, err
	}
	seconds := time.Since(began).Seconds()
	after, err := usageOf(b)
	after.cpuS -= before.cpuS
	return span{after, seconds}, err
}

func usageOf(b broker) (usage, error) {
	dir := fmt.Sprintf("/proc/%d/", b.ID())
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return usage{}, err
	}
	// The name in parentheses may hold anything: fields are counted behind it. utime and stime are the 14th and 15th of the line.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	var u usage
	for _, i := range []int{11, 12} {
		ticks, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return usage{}, err
		}
		u.cpuS += ticks / ticksPerSecond
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return usage{}, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				return usage{}, err
			}
			u.rssMB = kb / 1024
		}
	}
	return u, nil
}

package server

import (
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// limitedLog lets one line a second through and tells how many it kept back: a flood of bad clients must not become a flood of lines.
type limitedLog struct {
	mu      sync.Mutex
	next    time.Time
	dropped int
}

const logInterval = time.Second

func (l *limitedLog) warn(log *slog.Logger, msg string, args ...any) {
	now := time.Now()
	l.mu.Lock()
	if now.Before(l.next) {
		l.dropped++
		l.mu.Unlock()
		return
	}
	dropped := l.dropped
	l.next, l.dropped = now.Add(logInterval), 0
	l.mu.Unlock()
	if dropped > 0 {
		args = append(args, "similar_lines_dropped", dropped)
	}
	log.Warn(msg, args...)
}

const maxLoggedString = 64

// quoted makes a client's string fit for a log line: control characters escaped, length capped.
func quoted(s string) string {
	if len(s) > maxLoggedString {
		return strconv.Quote(s[:maxLoggedString]) + "…"
	}
	return strconv.Quote(s)
}

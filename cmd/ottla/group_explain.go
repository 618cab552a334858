package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"ottla/protocol"
	"ottla/protocol/handlers"
)

// story is all that is known of a group: what Kafka's protocol tells, and what the coordinator's node tells besides.
type story struct {
	Group   string                     `json:"group"`
	State   string                     `json:"state"`
	Members int                        `json:"members"`
	Records int64                      `json:"lag"`         // all partitions together
	Seconds *float64                   `json:"lag_seconds"` // of the partition that is furthest behind in time; null: unknown
	Worst   *place                     `json:"furthest_behind"`
	Inside  *handlers.GroupExplanation `json:"coordinator"` // null: the node did not say
}

type place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Lag       int64  `json:"lag"`
}

func newGroupExplain(to *connection) *cobra.Command {
	var out output
	operators := "127.0.0.1:9080"
	if env := os.Getenv("OTTLA_HTTP"); env != "" {
		operators = env
	}
	c := &cobra.Command{
		Use: "explain NAME", Short: "Say in words how a group is: who is in it, who holds it up and since when, why it last rebalanced, how far it is behind",
		Args: cobra.ExactArgs(1), ValidArgsFunction: to.completeGroups,
		RunE: func(c *cobra.Command, args []string) error {
			s, err := to.tell(c.Context(), args[0])
			if err != nil {
				return err
			}
			if s.Inside, err = askCoordinator(c.Context(), operators, args[0]); err != nil {
				fmt.Fprintf(c.ErrOrStderr(), "ottla: %v; without it nobody can tell who is waited for and why (--http says where to ask)\n", err)
			}
			if out.json() {
				return out.value(c, s)
			}
			_, err = io.WriteString(c.OutOrStdout(), s.words(time.Now()))
			return err
		},
	}
	c.Flags().StringVar(&operators, "http", operators, "HOST:PORT where the group's coordinator serves operators (or $OTTLA_HTTP)")
	out.flag(c)
	return c
}

// tell gathers what every Kafka broker can say.
func (f *connection) tell(ctx context.Context, group string) (*story, error) {
	adm, done, err := f.admin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	lags, err := groupLags(ctx, adm, []string{group})
	if err != nil {
		return nil, err
	}
	first, err := f.firstUnread(ctx, lags)
	if err != nil {
		return nil, err
	}
	return newStory(&lags[0], first[group], time.Now()), nil
}

func newStory(l *kadm.DescribedGroupLag, first map[protocol.TopicPartition]time.Time, now time.Time) *story {
	s := &story{Group: l.Group, State: l.State, Members: len(l.Members)}
	for _, p := range l.Lag.Sorted() {
		if p.Lag < 0 {
			continue
		}
		s.Records += p.Lag
		seconds, known := lagSeconds(&p, first, now).(float64)
		if known && (s.Seconds == nil || seconds > *s.Seconds) {
			s.Seconds = &seconds
		}
		if p.Lag > 0 && (s.Worst == nil || p.Lag > s.Worst.Lag) {
			s.Worst = &place{p.Topic, p.Partition, p.Lag}
		}
	}
	return s
}

// askTimeout is how long the coordinator's node may take: a command is not to hang on a port that nobody answers.
const askTimeout = 3 * time.Second

// maxExplanation bounds what is read of a node's answer: some hundred bytes a member.
const maxExplanation = 16 << 20

// askCoordinator asks a node over HTTP. The error says in words what is missing.
func askCoordinator(ctx context.Context, operators, group string) (*handlers.GroupExplanation, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+operators+"/groups?group="+url.QueryEscape(group), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no node serves operators at %s: %w", operators, err)
	}
	defer resp.Body.Close() // read only: nothing to lose
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxExplanation))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", operators, err)
	case resp.StatusCode == http.StatusMisdirectedRequest:
		return nil, fmt.Errorf("the node at %s does not coordinate %s", operators, group)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the node at %s says %s: %.200q", operators, resp.Status, strings.TrimSpace(string(body)))
	}
	var e handlers.GroupExplanation
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("the node at %s: %w", operators, err)
	}
	return &e, nil
}

// words is the story for people, a paragraph a matter.
func (s *story) words(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Group %s is %s", protocol.Printable(s.Group), s.State)
	if s.Inside != nil && !s.Inside.Since.IsZero() {
		fmt.Fprintf(&b, " since %s (%s)", clock(s.Inside.Since), ago(now.Sub(s.Inside.Since)))
	}
	fmt.Fprintf(&b, ", with %s.%s\n", count(int64(s.Members), "member"), meaning[s.State])
	if s.Inside != nil {
		s.tellMembers(&b, now)
		s.tellRebalance(&b, now)
	}
	s.tellLag(&b)
	return b.String()
}

// meaning is what a state means for who reads.
var meaning = map[string]string{
	"Empty":               " Nobody reads.",
	"PreparingRebalance":  " Nobody reads until all of them have joined, or their time is up.",
	"CompletingRebalance": " Nobody reads until the leader has assigned the partitions.",
	"Stable":              " Every member has its partitions.",
}

func (s *story) tellMembers(b *strings.Builder, now time.Time) {
	awaited := slices.DeleteFunc(slices.Clone(s.Inside.Members), func(m handlers.ExplainedMember) bool { return !m.Awaited })
	switch {
	case len(awaited) > 0:
		fmt.Fprintf(b, "\nIt waits for %d of %s:\n", len(awaited), count(int64(len(s.Inside.Members)), "member"))
		for _, m := range awaited {
			tellMember(b, &m, now)
		}
		if r := s.Inside.Rebalance; r != nil && !r.Deadline.IsZero() {
			fmt.Fprintf(b, "Whoever has not come by %s (in %s) is put out%s.\n", clock(r.Deadline), length(r.Deadline.Sub(now)), staticStays(awaited))
		}
	case len(s.Inside.Members) > 0:
		fmt.Fprintf(b, "\nIts members, in generation %d:\n", s.Inside.Generation)
		for _, m := range s.Inside.Members {
			tellMember(b, &m, now)
		}
		if r := s.Inside.Rebalance; r != nil && !r.Deadline.IsZero() && s.Inside.State == "PreparingRebalance" {
			fmt.Fprintf(b, "All have joined. Others may still come before it begins, at %s (in %s) or a little later.\n", clock(r.Deadline), length(r.Deadline.Sub(now)))
		}
	}
}

// staticStays tells of members that keep their place while their sessions last (KIP-345).
func staticStays(awaited []handlers.ExplainedMember) string {
	if slices.ContainsFunc(awaited, func(m handlers.ExplainedMember) bool { return m.InstanceID != nil }) {
		return ", but for who has an instance, who may come until its session is over"
	}
	return ""
}

func tellMember(b *strings.Builder, m *handlers.ExplainedMember, now time.Time) {
	fmt.Fprintf(b, "  %s, client %q at %s", protocol.Printable(m.ID), m.ClientID, strings.TrimPrefix(m.Host, "/"))
	if m.InstanceID != nil {
		fmt.Fprintf(b, ", instance %q", *m.InstanceID)
	}
	if !m.Joined.IsZero() {
		fmt.Fprintf(b, ", a member since %s (%s)", clock(m.Joined), ago(now.Sub(m.Joined)))
	}
	b.WriteString("\n")
}

func (s *story) tellRebalance(b *strings.Builder, now time.Time) {
	r := s.Inside.Rebalance
	if r == nil {
		b.WriteString("\nIt has not rebalanced since this node coordinates it.\n")
		return
	}
	why := protocol.Printable(strings.TrimSuffix(r.Reason, ".")) // Kafka's words, some of which are a sentence, or a client's
	if r.Ended.IsZero() {
		fmt.Fprintf(b, "\nIt has been rebalancing since %s (%s), because: %s.\n", clock(r.Began), ago(now.Sub(r.Began)), why)
	} else {
		fmt.Fprintf(b, "\nThe last rebalance began at %s (%s) and took %s, because: %s.\n", clock(r.Began), ago(now.Sub(r.Began)), length(r.Ended.Sub(r.Began)), why)
	}
}

func (s *story) tellLag(b *strings.Builder) {
	if s.Worst == nil {
		b.WriteString("\nIt has read everything that it has offsets for.\n")
		return
	}
	fmt.Fprintf(b, "\nIt is %s behind", count(s.Records, "record"))
	if s.Seconds != nil {
		fmt.Fprintf(b, ", %s in time", length(time.Duration(*s.Seconds*float64(time.Second))))
	}
	fmt.Fprintf(b, "; furthest in %s-%d with %d.\n", s.Worst.Topic, s.Worst.Partition, s.Worst.Lag)
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func ago(d time.Duration) string { return length(d) + " ago" }

// length is a duration with the two units that matter.
func length(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ottla/log/batch"
)

// dumper prints the files of a partition's folder, ours or Apache Kafka's.
type dumper struct {
	w       *bufio.Writer
	json    *json.Encoder // nil: lines for people
	records bool
	limit   int // bytes that the records of one batch may inflate to
	bad     int // batches and files that are not what they should be
}

func newDump() *cobra.Command {
	d := dumper{limit: 256 << 20}
	var out output
	c := &cobra.Command{
		Use: "dump FILE|FOLDER...", Short: "Print the files of a partition's folder: batches, records, indexes", Args: cobra.MinimumNArgs(1),
		Long: "Print .log, .index and .timeindex files of ottla or of Apache Kafka, and snapshots of the metadata (.checkpoint); a folder stands for all of its files.\n" +
			"Every batch is checked (CRC, and with --records each record); the exit code tells whether all were sound.",
		Example: "  ottla dump ottla-data/numbers-0\n  ottla dump --records --output json ottla-data/numbers-0/00000000000000000000.log",
		RunE: func(c *cobra.Command, args []string) error {
			d.w = bufio.NewWriterSize(c.OutOrStdout(), 64<<10)
			if out.json() {
				d.json = json.NewEncoder(d.w)
			}
			err := errors.Join(d.dump(args), d.w.Flush())
			if err == nil && d.bad > 0 {
				err = fmt.Errorf("%d damaged", d.bad)
			}
			return err
		},
	}
	c.Flags().BoolVarP(&d.records, "records", "r", false, "every record, not only batches")
	out.flag(c)
	return c
}

func (d *dumper) dump(args []string) error {
	for _, arg := range args {
		err := filepath.WalkDir(arg, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			known, err := d.file(name)
			if err == nil && !known && name == arg {
				err = fmt.Errorf("%s: want a .log, .checkpoint, .index or .timeindex file, or a folder", name)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// file prints a file, if it is of a kind that is known.
func (d *dumper) file(name string) (known bool, err error) {
	width := map[string]int{".log": 0, ".checkpoint": 0, ".index": 8, ".timeindex": 12}
	w, known := width[filepath.Ext(name)]
	if !known {
		return false, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return true, err
	}
	defer f.Close() // read only: nothing to lose
	info, err := f.Stat()
	if err != nil {
		return true, err
	}
	if d.json == nil {
		fmt.Fprintf(d.w, "%s\n", name)
	}
	r := bufio.NewReaderSize(f, 1<<20)
	if w == 0 {
		return true, d.segment(name, r, info.Size())
	}
	return true, d.index(name, r, w)
}

// batchLine is what dump tells of a batch.
type batchLine struct {
	File       string       `json:"file"`
	Position   int64        `json:"position"`
	BaseOffset int64        `json:"base_offset"`
	LastOffset int64        `json:"last_offset"`
	Epoch      int32        `json:"leader_epoch"`
	Count      int32        `json:"count"`
	Size       int          `json:"size"`
	Codec      string       `json:"codec"`
	Timestamp  int64        `json:"max_timestamp"`
	Flags      []string     `json:"flags,omitempty"`
	Producer   int64        `json:"producer_id"`
	PEpoch     int16        `json:"producer_epoch"`
	Sequence   int32        `json:"base_sequence"`
	Damage     string       `json:"damage,omitempty"`
	Records    []recordLine `json:"records,omitempty"`
}

type recordLine struct {
	Offset    int64        `json:"offset"`
	Timestamp int64        `json:"timestamp"`
	Key       jsonBytes    `json:"key"`
	Value     jsonBytes    `json:"value"`
	Headers   []jsonHeader `json:"headers,omitempty"`
}

// segment walks the batches of a .log file. What cannot be walked over ends it: there is no telling where the next batch begins.
func (d *dumper) segment(name string, r *bufio.Reader, size int64) error {
	var b []byte
	for at := int64(0); ; at += int64(len(b)) {
		head, err := r.Peek(batch.HeaderSize)
		if len(head) == 0 && err == io.EOF {
			return nil
		}
		var h batch.Header
		if err == io.EOF {
			err = fmt.Errorf("cut short: %d bytes are left", len(head))
		} else if err == nil {
			err = batch.ParseHeader(head, &h)
		}
		if err != nil {
			return d.batch(&batchLine{File: name, Position: at, Damage: err.Error()})
		}
		if int64(h.Size()) > size-at { // said before so much is allocated
			return d.batch(&batchLine{File: name, Position: at, BaseOffset: int64(h.BaseOffset), Size: h.Size(), Damage: fmt.Sprintf("cut short: %d bytes are left", size-at)})
		}
		b = slices.Grow(b[:0], h.Size())[:h.Size()]
		if _, err := io.ReadFull(r, b); err != nil {
			return d.batch(&batchLine{File: name, Position: at, BaseOffset: int64(h.BaseOffset), Size: h.Size(), Damage: "cut short: " + err.Error()})
		}
		line := describe(&h, b)
		line.File, line.Position = name, at
		if d.records && line.Damage == "" {
			d.readRecords(b, line)
		}
		if err := d.batch(line); err != nil {
			return err
		}
	}
}

func describe(h *batch.Header, b []byte) *batchLine {
	l := &batchLine{BaseOffset: int64(h.BaseOffset), LastOffset: int64(h.LastOffset()), Epoch: int32(h.LeaderEpoch), Count: h.Count, Size: h.Size(), Codec: h.Attributes.Codec().String(),
		Timestamp: h.MaxTimestamp, Producer: int64(h.ProducerID), PEpoch: int16(h.ProducerEpoch), Sequence: int32(h.BaseSequence)}
	for flag, set := range map[string]bool{"transactional": h.Attributes.Transactional(), "control": h.Attributes.Control(), "log-append-time": h.Attributes.LogAppendTime()} {
		if set {
			l.Flags = append(l.Flags, flag)
		}
	}
	slices.Sort(l.Flags)
	if !batch.CheckCRC(b) {
		l.Damage = "the CRC does not match"
	}
	return l
}

func (d *dumper) readRecords(b []byte, l *batchLine) {
	r, err := batch.NewReader(b, d.limit)
	if err != nil {
		l.Damage = err.Error()
		return
	}
	defer r.Close()
	for {
		var rec batch.Record
		more, err := r.Next(&rec)
		if err != nil {
			l.Damage = err.Error()
		}
		if err != nil || !more {
			return
		}
		line := recordLine{Offset: int64(rec.Offset), Timestamp: rec.Timestamp, Key: slices.Clone(rec.Key), Value: slices.Clone(rec.Value)}
		for k, v := range rec.Headers.All() {
			line.Headers = append(line.Headers, jsonHeader{string(k), slices.Clone(v)})
		}
		l.Records = append(l.Records, line)
	}
}

func (d *dumper) batch(l *batchLine) error {
	if l.Damage != "" {
		d.bad++
	}
	if d.json != nil {
		return d.json.Encode(l)
	}
	fmt.Fprintf(d.w, "  @%d offsets %d-%d epoch %d records %d size %d codec %s time %d", l.Position, l.BaseOffset, l.LastOffset, l.Epoch, l.Count, l.Size, l.Codec, l.Timestamp)
	if l.Producer >= 0 {
		fmt.Fprintf(d.w, " producer %d/%d sequence %d", l.Producer, l.PEpoch, l.Sequence)
	}
	if len(l.Flags) > 0 {
		fmt.Fprintf(d.w, " %s", strings.Join(l.Flags, " "))
	}
	if l.Damage != "" {
		fmt.Fprintf(d.w, " DAMAGED: %s", l.Damage)
	}
	fmt.Fprintln(d.w)
	for _, r := range l.Records {
		fmt.Fprintf(d.w, "    %d time %d key %s value %s headers %q\n", r.Offset, r.Timestamp, quoted(r.Key), quoted(r.Value), r.Headers)
	}
	return nil
}

func quoted(b jsonBytes) string {
	if b == nil {
		return "null"
	}
	return strconv.Quote(string(b))
}

// indexLine is one entry of an index, relative as it stands in the file: .index (offset → position) or .timeindex (timestamp → offset).
type indexLine struct {
	File      string `json:"file"`
	Timestamp *int64 `json:"timestamp,omitempty"`
	Offset    int32  `json:"relative_offset"`
	Position  *int32 `json:"position,omitempty"`
}

func (d *dumper) index(name string, r io.Reader, width int) error {
	entry := make([]byte, width)
	for entries := 0; ; entries++ {
		_, err := io.ReadFull(r, entry)
		if err == io.EOF {
			return nil
		}
		if err == io.ErrUnexpectedEOF {
			d.bad++
			_, err = fmt.Fprintf(os.Stderr, "%s: it ends within an entry\n", name)
			return err
		}
		if err != nil {
			return err
		}
		if entries > 0 && !slices.ContainsFunc(entry, func(b byte) bool { return b != 0 }) {
			return nil // what Kafka allocated ahead: only the first entry may be all zero
		}
		l := indexLine{File: name}
		if width == 12 {
			t := int64(binary.BigEndian.Uint64(entry))
			l.Timestamp, l.Offset = &t, int32(binary.BigEndian.Uint32(entry[8:]))
		} else {
			p := int32(binary.BigEndian.Uint32(entry[4:]))
			l.Position, l.Offset = &p, int32(binary.BigEndian.Uint32(entry))
		}
		if d.json != nil {
			if err := d.json.Encode(l); err != nil {
				return err
			}
			continue
		}
		if l.Timestamp != nil {
			fmt.Fprintf(d.w, "  time %d +%d\n", *l.Timestamp, l.Offset)
		} else {
			fmt.Fprintf(d.w, "  +%d @%d\n", l.Offset, *l.Position)
		}
	}
}

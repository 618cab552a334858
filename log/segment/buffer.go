package segment

import (
	"io"
	"sync"
)

// bufferSize is what is read at once when indexes are searched and headers are walked: about one index interval.
const bufferSize = 4096

type buffer [bufferSize]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }
func (b *buffer) free()   { buffers.Put(b) }

// readFull fills p from off; a file that ends before is io.ErrUnexpectedEOF.
func readFull(h *Handle, p []byte, off int64) error {
	n, err := h.file.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

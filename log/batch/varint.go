package batch

import "encoding/binary"

// Numbers inside records are zig-zag varints: seven bits a byte, lowest first, the top bit set on all but the last. A 32-bit one has at most 5 bytes, a 64-bit one 10.
const (
	maxVarint  = 5
	maxVarlong = 10
)

// varint reads a 32-bit number from the start of b; n is its bytes, 0 if b holds none.
func varint(b []byte) (v int32, n int) {
	if len(b) > 0 && b[0] < 0x80 { // nearly all of them
		return int32(b[0]>>1) ^ -int32(b[0]&1), 1
	}
	if len(b) > maxVarint {
		b = b[:maxVarint]
	}
	u, n := binary.Uvarint(b)
	if n <= 0 || u > 1<<32-1 {
		return 0, 0
	}
	return int32(uint32(u)>>1) ^ -int32(u&1), n
}

// varlong reads a 64-bit number.
func varlong(b []byte) (v int64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	u, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0
	}
	return int64(u>>1) ^ -int64(u&1), n
}

// varintSize is the bytes that v takes, 32-bit or 64-bit alike.
func varintSize(v int64) int {
	n := 1
	for u := uint64(v<<1) ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

package wire

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// everyRequest calls f for every version of every request that kmsg has.
func everyRequest(f func(key, version int16)) {
	for key := range int16(len(requests)) {
		for version := range requests[key].maxVersion + 1 {
			f(key, version)
		}
	}
}

// encoded is the body of a request whose fields are filled at random.
func encoded(r *rand.Rand, key, version int16) []byte {
	req := kmsg.RequestForKey(key)
	fill(reflect.ValueOf(req).Elem(), r)
	req.SetVersion(version)
	return req.AppendTo(nil)
}

var tagsType = reflect.TypeFor[kmsg.Tags]()

func fill(v reflect.Value, r *rand.Rand) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == tagsType {
			fillTags(v.Addr().Interface().(*kmsg.Tags), r)
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), r)
		}
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), r)
		}
	case reflect.Slice:
		if n := r.IntN(4); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n-1, n-1))
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), r)
		}
	case reflect.String:
		v.SetString("topic-of-some-length-or-other"[:r.IntN(30)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) > 0)
	case reflect.Float64:
		v.SetFloat(r.NormFloat64())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(r.Uint64() & 0xff)
	default:
		v.SetInt(int64(r.IntN(200) - 20))
	}
}

func fillTags(t *kmsg.Tags, r *rand.Rand) {
	if r.IntN(4) > 0 {
		return
	}
	for range r.IntN(12) {
		t.Set(100+r.Uint32N(1000), make([]byte, r.IntN(20)))
	}
}

func random(t testing.TB) *rand.Rand {
	t.Helper()
	return rand.New(rand.NewPCG(1, 2))
}

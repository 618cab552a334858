package record

// Feature is the feature whose finalized level says which records a cluster may write. Nodes tell at registration which levels they read; one that tells
// nothing reads MinLevel.
//
//	1  kinds 1 to 12
//	2  ControllerRegistration, ControllerUnregistration, NodeAssignment, in_controlled_shutdown
const Feature = "ottla.metadata"

// The levels that this build reads and writes.
const (
	MinLevel int16 = 1
	MaxLevel int16 = 2
)

// Level is the lowest level of Feature at which r may be written.
func Level(r *Record) int16 {
	switch k := r.Kind.(type) {
	case *Record_ControllerRegistration, *Record_ControllerUnregistration, *Record_NodeAssignment:
		return 2
	case *Record_BrokerRegistration:
		if k.BrokerRegistration.InControlledShutdown {
			return 2
		}
	case *Record_BrokerFencing:
		if k.BrokerFencing.InControlledShutdown {
			return 2
		}
	}
	return MinLevel
}

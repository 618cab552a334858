package classic

// state is where a group is in its life. The names are Kafka's.
//
//	Empty ──join──▶ PreparingRebalance ──all joined──▶ CompletingRebalance ──leader's sync committed──▶ Stable
//	  ▲                 │     ▲                              │                                           │
//	  └──nobody is left─┘     └──────────── a member joins anew, leaves or is silent ◀───────────────────┘
type state uint8

const (
	empty state = iota
	preparing
	completing
	stable
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}

func (s state) String() string { return stateNames[s] }

// Dead is what a group is called that does not exist.
const Dead = "Dead"

package handlers

import (
	"fmt"

	"ottla/protocol"
)

// access is what a row of the API table asks of the caller. A row is made by a constructor that wants one, and a handler can only ask what its row declares: so neither can be forgotten.
type access struct {
	rules []rule
	why   string // of an open row
}

type rule struct {
	op protocol.Operation
	on protocol.ResourceType
}

// asks declares every question that the handler may put to the authorizer. Which of them decides about what is the handler's business.
func asks(rules ...rule) access { return access{rules: rules} }

// open declares that everybody may call, and why.
func open(why string) access { return access{why: why} }

func onTopic(op protocol.Operation) rule   { return rule{op, protocol.ResourceTopic} }
func onCluster(op protocol.Operation) rule { return rule{op, protocol.ResourceCluster} }
func onGroup(op protocol.Operation) rule   { return rule{op, protocol.ResourceGroup} }
func onTransactionalID(op protocol.Operation) rule {
	return rule{op, protocol.ResourceTransactionalID}
}

func (a access) declared() bool { return len(a.rules) > 0 || a.why != "" }

// allowed puts one of the row's questions. A question that the row does not declare is a bug.
func (h *Handlers) allowed(a *access, p protocol.Principal, op protocol.Operation, on protocol.Resource) bool {
	for _, r := range a.rules {
		if r.op == op && r.on == on.Type {
			return h.Authorizer.Allowed(p, op, on)
		}
	}
	panic(fmt.Sprintf("handlers: operation %d on resource type %d is not declared in the API table", op, on.Type))
}

var (
	topicOperations = []protocol.Operation{protocol.OpRead, protocol.OpWrite, protocol.OpCreate, protocol.OpDelete, protocol.OpAlter, protocol.OpDescribe,
		protocol.OpDescribeConfigs, protocol.OpAlterConfigs}
	clusterOperations = []protocol.Operation{protocol.OpCreate, protocol.OpAlter, protocol.OpDescribe, protocol.OpClusterAction, protocol.OpDescribeConfigs,
		protocol.OpAlterConfigs, protocol.OpIdempotentWrite}
	groupOperations = []protocol.Operation{protocol.OpRead, protocol.OpDelete, protocol.OpDescribe, protocol.OpDescribeConfigs, protocol.OpAlterConfigs}
)

// operationsNotAsked is what the bit field of authorized operations holds when the client did not ask for it (KIP-430).
const operationsNotAsked = -1 << 31

// operations is KIP-430's bit field: bit n is set if the caller may do operation n. It grants nothing, so no row declares it.
func (r *request) operations(on protocol.Resource) (bits int32) {
	ops := topicOperations
	switch on.Type {
	case protocol.ResourceCluster:
		ops = clusterOperations
	case protocol.ResourceGroup:
		ops = groupOperations
	}
	for _, op := range ops {
		if r.Authorizer.Allowed(r.principal(), op, on) {
			bits |= 1 << op
		}
	}
	return bits
}

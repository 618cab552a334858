package image

import (
	"maps"
	"slices"

	"ottla/controller/record"
	"ottla/protocol"
)

func (e *editor) registerController(k *record.ControllerRegistration) {
	c := &Controller{
		ID: protocol.BrokerID(k.NodeId), RaftID: k.RaftId, Directory: protocol.DirectoryID(k.DirectoryId),
		Endpoints: endpoints(k.Endpoints), Features: featureRanges(k.Features),
	}
	n, found := e.next.searchController(c.ID)
	e.next.controllers = put(e.next.controllers, n, found, c)
	touch(&e.touchedControllers, c.ID)
}

func (e *editor) unregisterController(k *record.ControllerUnregistration) {
	id := protocol.BrokerID(k.NodeId)
	n, found := e.next.searchController(id)
	if !found {
		e.bug("controller %d unregistered, but it is not registered", id)
	}
	e.next.controllers = slices.Delete(slices.Clone(e.next.controllers), n, n+1)
	touch(&e.touchedControllers, id)
}

func (e *editor) assign(k *record.NodeAssignment) {
	m := maps.Clone(e.next.assigned)
	if m == nil {
		m = make(map[protocol.BrokerID]protocol.DirectoryID)
	}
	m[protocol.BrokerID(k.NodeId)] = protocol.DirectoryID(k.DirectoryId)
	e.next.assigned = m
}

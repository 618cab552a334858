package decide

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
)

// The kinds of a change of a feature's level.
const (
	upgrade         = 1
	safeDowngrade   = 2
	unsafeDowngrade = 3
)

// updateFeatures decides key 57: all updates or none; of a feature that is named twice the last counts. Before version 1 a flag stands for the kind of the change.
func (d *decision) updateFeatures(req *kmsg.UpdateFeaturesRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	last := make(map[string]int, len(req.FeatureUpdates))
	for n := range req.FeatureUpdates {
		last[req.FeatureUpdates[n].Feature] = n
	}
	for n := range req.FeatureUpdates {
		u := &req.FeatureUpdates[n]
		if last[u.Feature] != n {
			continue
		}
		if err := d.updateFeature(u, kindOf(req.Version, u)); err != nil {
			d.records = nil
			err = protocol.Errorf(kerr.InvalidUpdateVersion, "The update failed for all features since the following feature had an error: Invalid update version %d for feature %s. %s",
				u.MaxVersionLevel, u.Feature, *protocol.ErrorMessage(err))
			resp.ErrorCode, resp.ErrorMessage = protocol.ErrorCode(err), protocol.ErrorMessage(err)
			return d.outcome(resp, false)
		}
	}
	if req.Version < 2 {
		none := "NONE" // as Kafka says it
		for n := range req.FeatureUpdates {
			r := kmsg.NewUpdateFeaturesResponseResult()
			r.Feature, r.ErrorMessage = req.FeatureUpdates[n].Feature, &none
			resp.Results = append(resp.Results, r)
		}
	}
	return d.outcome(resp, req.ValidateOnly)
}

func kindOf(version int16, u *kmsg.UpdateFeaturesRequestFeatureUpdate) int8 {
	switch {
	case version > 0:
		return u.UpgradeType
	case u.AllowDowngrade:
		return safeDowngrade
	}
	return upgrade
}

// updateFeature adds the record of one update; an error is Kafka's words for what is wrong with it.
func (d *decision) updateFeature(u *kmsg.UpdateFeaturesRequestFeatureUpdate, kind int8) error {
	refuse := func(format string, args ...any) error {
		return protocol.Errorf(kerr.InvalidUpdateVersion, format, args...)
	}
	level, now := u.MaxVersionLevel, d.view.Feature(u.Feature)
	switch {
	case kind < upgrade || kind > unsafeDowngrade:
		return refuse("The controller does not support the given upgrade type.")
	case level < 0:
		return refuse("A feature version cannot be less than 0.")
	}
	if err := d.checkSupported(u.Feature, level); err != nil {
		return err
	}
	_, known := Supported()[u.Feature]
	switch {
	case !known && now == 0:
		return refuse("Feature %s not found.", u.Feature)
	case level < now && kind == upgrade:
		return refuse("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.")
	case level > now && kind != upgrade:
		return refuse("Can't downgrade to a newer version.")
	case u.Feature == record.Feature && level < d.view.MetadataLevel():
		return refuse("Refusing to perform the requested downgrade because it might delete metadata information.")
	case level != now:
		d.records = append(d.records, record.Of(&record.FeatureLevel{Name: u.Feature, Level: int32(level)}))
	}
	return nil
}

// checkSupported tells whether every node understands a level: this one, and all that are registered.
func (d *decision) checkSupported(feature string, level int16) error {
	own := Supported()[feature]
	if err := supports(fmt.Sprintf("Local controller %d", d.view.ControllerID()), level, own.Min, own.Max); err != nil {
		return err
	}
	for _, b := range d.view.Brokers() {
		r := rangeOf(feature, b.Features)
		if err := supports(fmt.Sprintf("Broker %d", b.ID), level, r.Min, r.Max); err != nil {
			return err
		}
	}
	for _, c := range d.view.Controllers() {
		if c.ID == d.view.ControllerID() {
			continue
		}
		r := rangeOf(feature, c.Features)
		if err := supports(fmt.Sprintf("Controller %d", c.ID), level, r.Min, r.Max); err != nil {
			return err
		}
	}
	return nil
}

func supports(who string, level, lowest, highest int16) error {
	switch {
	case level >= lowest && level <= highest:
		return nil
	case highest == 0:
		return protocol.Errorf(kerr.InvalidUpdateVersion, "%s does not support this feature.", who)
	case lowest == highest:
		return protocol.Errorf(kerr.InvalidUpdateVersion, "%s only supports versions %d", who, lowest)
	}
	return protocol.Errorf(kerr.InvalidUpdateVersion, "%s only supports versions %d-%d", who, lowest, highest)
}

package decide

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol/config"
)

// replaceConfigs decides key 33: the configs of the request take the place of all that a resource has. It is the incremental change that sets the former and deletes the rest.
func (d *decision) replaceConfigs(req *kmsg.AlterConfigsRequest) (Outcome, error) {
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.ValidateOnly = req.ValidateOnly
	for n := range req.Resources {
		alter.Resources = append(alter.Resources, d.replacement(&req.Resources[n]))
	}
	outcome, err := d.alterConfigs(alter)
	if err != nil {
		return Outcome{}, err
	}
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	for _, r := range outcome.Reply.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		reply := kmsg.NewAlterConfigsResponseResource()
		reply.ResourceType, reply.ResourceName, reply.ErrorCode, reply.ErrorMessage = r.ResourceType, r.ResourceName, r.ErrorCode, r.ErrorMessage
		resp.Resources = append(resp.Resources, reply)
	}
	outcome.Reply = resp
	return outcome, nil
}

func (d *decision) replacement(r *kmsg.AlterConfigsRequestResource) kmsg.IncrementalAlterConfigsRequestResource {
	out := kmsg.NewIncrementalAlterConfigsRequestResource()
	out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
	kept := make(map[string]bool, len(r.Configs))
	add := func(name string, value *string, op kmsg.IncrementalAlterConfigOp) {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value, c.Op = name, value, op
		out.Configs = append(out.Configs, c)
	}
	for _, c := range r.Configs {
		kept[c.Name] = true
		add(c.Name, c.Value, kmsg.IncrementalAlterConfigOpSet)
	}
	for _, name := range sortedKeys(d.view.Config(config.Scope(r.ResourceType), r.ResourceName)) {
		if !kept[name] {
			add(name, nil, kmsg.IncrementalAlterConfigOpDelete)
		}
	}
	return out
}

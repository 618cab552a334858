package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"ottla/log/vfs"
	"ottla/protocol"
)

// CleanShutdownName is the file that a log directory has between a clean stop and the next start: no log needs recovery.
const CleanShutdownName = ".kafka_cleanshutdown"

// ReadCleanShutdown is the broker epoch at which the node stopped cleanly, -1 if the file does not tell. fs.ErrNotExist is an unclean stop.
// A file that is there counts whatever it says: ErrMalformed is for a log line.
//
//	{"version":0,"brokerEpoch":-1}
func ReadCleanShutdown(fsys vfs.FS, dir string) (protocol.BrokerEpoch, error) {
	data, err := read(fsys, dir, CleanShutdownName, maxSmall)
	if err != nil {
		return noBrokerEpoch, err
	}
	epoch, err := parseCleanShutdown(data)
	if err != nil {
		return noBrokerEpoch, fmt.Errorf("read %s: %w", path.Join(dir, CleanShutdownName), err)
	}
	return epoch, nil
}

const noBrokerEpoch protocol.BrokerEpoch = -1

// WriteCleanShutdown marks a clean stop: everything else in dir is durable before.
func WriteCleanShutdown(fsys vfs.FS, dir string, epoch protocol.BrokerEpoch) error {
	return replace(fsys, dir, CleanShutdownName, fmt.Appendf(nil, `{"version":0,"brokerEpoch":%d}`, epoch))
}

// RemoveCleanShutdown takes the mark away durably, before the first write to dir.
func RemoveCleanShutdown(fsys vfs.FS, dir string) error {
	err := fsys.Remove(path.Join(dir, CleanShutdownName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

func parseCleanShutdown(data []byte) (protocol.BrokerEpoch, error) {
	if len(data) == 0 {
		return noBrokerEpoch, nil // as Kafka wrote it before 3.9
	}
	var content struct {
		Version     *int32                `json:"version"`
		BrokerEpoch *protocol.BrokerEpoch `json:"brokerEpoch"`
	}
	if err := json.Unmarshal(data, &content); err != nil {
		return noBrokerEpoch, malformed("%v", err)
	}
	if content.Version == nil || *content.Version != 0 || content.BrokerEpoch == nil {
		return noBrokerEpoch, malformed("version 0 and a broker epoch are expected")
	}
	return *content.BrokerEpoch, nil
}

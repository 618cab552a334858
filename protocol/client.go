package protocol

// Client is who sent a request, as coordinators show it to operators: its client id, and its address as Kafka writes it ("/127.0.0.1").
type Client struct{ ID, Host string }

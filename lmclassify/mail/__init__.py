"""Mail: messages, mailboxes, the mail filter and its client."""

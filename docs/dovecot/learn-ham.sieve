# A message was moved out of Junk. It is ham, unless it was deleted or only moved to another place for spam.
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment"];

if not environment :matches "imap.mailbox" [
    "Junk", "Junk/*", "Junk.*",
    "Trash", "Trash/*", "Trash.*", "Deleted*",
    "Drafts", "Sent*"
] {
    pipe :copy "lmclassify-learn" ["ham", "spam"];
}

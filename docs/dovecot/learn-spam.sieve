# A message was moved into Junk: it is spam.
require ["vnd.dovecot.pipe", "copy", "imapsieve"];

pipe :copy "lmclassify-learn" ["spam"];

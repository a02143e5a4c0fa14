# New mail: spam goes to Junk. If the filter fails, the message is delivered unchanged.
require ["vnd.dovecot.filter", "fileinto", "mailbox"];

if filter "lmclassify-filter" {
    if header :is "X-LMClassify-Label" "spam" {
        fileinto :create "Junk";
        stop;
    }
}

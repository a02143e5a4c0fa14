# New mail goes to the folder that has the name of its label. It stays in the inbox if the label is unsure
# (start the service with --min-confidence 0.8), if there is no such folder, or if the filter fails.
require ["vnd.dovecot.filter", "fileinto", "mailbox", "variables"];

if filter "lmclassify-filter" {
    if header :is "X-LMClassify-Label" "spam" {
        fileinto :create "Junk";
        stop;
    }
    if header :matches "X-LMClassify-Label" "*" {
        set "folder" "${1}";
        if mailboxexists "${folder}" {
            fileinto "${folder}";
            stop;
        }
    }
}

#include "tools/limits.h"

const struct limit limits[] = {
    { "A machine that is unlocked and running", "Whoever holds a machine on which the node runs can read "
                                                "everything that this node can read. Encryption protects a "
                                                "machine that is switched off, and no other: one that "
                                                "sleeps, or shows a lock screen, still has the keys in its "
                                                "memory, and hibernation writes its memory to the disk. "
                                                "Before a border, a checkpoint or a raid, stop the node and "
                                                "switch the machine off." },
    { "Malware that runs as you, or as root", "A program that runs under the same user as the node, or as "
                                              "root, can ask for whatever you may see, and can watch you "
                                              "type the passphrase. Vigil keeps out other users, and nobody "
                                              "else. Use the machine for nothing else, and install "
                                              "nothing that you do not need." },
    { "A machine that was out of your hands",
      "Somebody who had the machine for some minutes, even switched off, may have changed its firmware, its "
      "system or its "
      "keyboard so that the next passphrase is given away. Vigil cannot see that. If a machine was taken "
      "from you and came "
      "back, do not type the passphrase: have the device revoked, and enrol another machine." },
    { "Force", "Somebody who can make you tell the passphrase reads what your node can read. No second "
               "passphrase shows something "
               "harmless instead, and Vigil does not hide that it is used. Do not carry a node to where that "
               "may happen. A colleague "
               "can revoke the device while you are held: what is written afterwards is closed to it, what "
               "it already holds is not." },
    { "A passphrase that can be guessed", "A disk that was seized can be kept for years, and passphrases "
                                          "tried on it by the million. Each try costs time and "
                                          "memory, but one that is short, known or used elsewhere is found. "
                                          "Changing it later does not help: it opens every "
                                          "copy of the disk that was made before." },
    { "What a disk shows without the passphrase",
      "Nobody reads names or cases on it. It does show that Vigil is used, about how many records there are "
      "and how large, "
      "and when something was last written. The file node.conf, with the names and addresses of peers, can "
      "be read by "
      "whoever has the disk. Encrypt the whole disk as well." },
    { "People who may read a case", "Whoever may read a case can copy it, photograph the screen, or tell. "
                                    "The audit log says afterwards who read what is "
                                    "strictly confidential and who exported what; it prevents nothing. Give "
                                    "each person and each device the rights that "
                                    "the work needs, and no more." },
    { "Copies that an erasure does not reach",
      "When consent is withdrawn, a record is destroyed on every node that is connected or comes back. Out "
      "of reach are the "
      "copies that an insider made, images that were taken of a disk before, a machine that is never "
      "switched on again, and "
      "backups, bundles, exports and printed pages that are kept elsewhere. Know where they are, and destroy "
      "them by hand. "
      "The erasure report names the devices that have not confirmed." },
    { "Memory that keeps old blocks", "Solid-state disks, sticks and memory cards level their wear: what a "
                                      "program overwrites may stay on the chip, where "
                                      "the system does not see it and a laboratory does. What Vigil erased "
                                      "was encrypted, and its key is overwritten too, "
                                      "but both may survive there, and whoever has the passphrase as well "
                                      "could read them. Where that matters, destroy the "
                                      "medium." },
    { "Who talks to whom, when, and how much",
      "Nobody on the line reads what nodes say to each other. Who watches it sees which addresses talk, "
      "when, and how much, and can tell that an office exists, when it works, and that something just "
      "happened. A schedule on both ends of a line (vigil peer set) hides when something is written and how "
      "much: messages of one size pass at fixed times. It does not hide that there is a line, its rate, when "
      "a node starts or stops, or that the line is down. A VPN or Tor hides the other end from those who "
      "watch yours, but not that a VPN or Tor is used, and not from somebody who watches both ends." },
    { "A node that is cut off and set back", "If somebody keeps a node apart from all others and puts back "
                                             "an older copy of its disk, nothing tells the node: it "
                                             "has forgotten what it heard since, a revocation or a "
                                             "withdrawal of consent among it. That is noticed when it next "
                                             "meets a node or a bundle that knows more, and not before." },
    { "Administrators who act together", "As many holders of root keys as must sign together can let in a "
                                         "device, give it any right, and replace the key of "
                                         "any office. Admins of two offices can erase a record; one alone "
                                         "can where the organisation was founded with a single "
                                         "root key. What they do is signed and stays visible, but is not "
                                         "prevented. Give these keys to people whom nobody can "
                                         "force or buy at the same time." },
    { "Records that are not true", "Vigil proves which device wrote an entry, and that nobody altered it "
                                   "since. It does not know whether it is true, nor "
                                   "who sat at the keyboard, nor whether the clock was right: times are what "
                                   "the device claimed. A member who is bought "
                                   "or forced, or a thief until the key is revoked, can write false entries "
                                   "within the rights of the device." },
    { "What nobody else holds", "What was saved and has reached no other node and no backup is lost with the "
                                "machine. Without the passphrase the data "
                                "of a node are lost too, and nobody can reset it. Look at vigil sync status "
                                "before you rely on somebody else having "
                                "something." },
    { "Recordings that are opened in the future",
      "Traffic that is recorded today, bundles and backups are protected by elliptic curves. A large quantum "
      "computer, if one "
      "is ever built, could open them, and nothing in Vigil prevents that. What must stay secret for decades "
      "should go "
      "through a VPN that has a shared secret of its own as well, or not over a line that is watched." },
    { "Mistakes in Vigil and in what it is built on",
      "Nobody outside of the project has audited this version. Whoever can change the program, a library, "
      "the compiler or "
      "the system on your machine can change all that is promised. Install it from where you can verify it, "
      "and keep the "
      "system up to date." },
};

const size_t limit_count = sizeof limits / sizeof limits[0];

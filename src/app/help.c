/// help.c: short; tidewire(1) tells the rest.
///
/// Each text is written out as it is read, in 80 columns, and not made from the tables of
/// options.c: those know what an option is called, not what it is good for.
#include "app/help.h"

#include <string.h>

#include "app/exit.h"

static const char general[] =
    "Usage: tidewire run [OPTION...] SCRIPT [FILE...]\n"
    "       tidewire check [OPTION...] SCRIPT...\n"
    "       tidewire reload [OPTION...] SOCKET\n"
    "       tidewire status [OPTION...] SOCKET\n"
    "       tidewire dead list|show|replay|export|drop [OPTION...] DIR [NUMBER...]\n"
    "       tidewire spool COMMAND [OPTION...] DIR\n"
    "\n"
    "Routes events, one JSON object a line, through a Lua router script.\n"
    "\n"
    "  run    route the lines of FILEs, or of standard input\n"
    "  check  load scripts and run their tests, open nothing, show their routers\n"
    "  reload tell a running daemon to load its script anew\n"
    "  status show what a running daemon does\n"
    "  dead   look at what could not be processed or delivered, and send it again\n"
    "  spool  look at what waits in a spool, verify, export, repair or drop it\n"
    "\n"
    "  -h, --help     this help; tidewire COMMAND --help tells more\n"
    "      --version  the version\n";

static const char run[] =
    "Usage: tidewire run [OPTION...] SCRIPT [FILE...]\n"
    "\n"
    "Routes each line of the FILEs in order (- is standard input), or of standard\n"
    "input, through the router that SCRIPT returns; then says what became of them.\n"
    "\n"
    "      --rejects FILE    append lines that are no JSON object (rejects.ndjson)\n"
    "      --dead FILE       append events that a processor gave up (dead.ndjson)\n"
    "      --strict          exit with 65 when a line was rejected\n"
    "      --workers N       threads that route, 1 to 64 (1)\n"
    "      --partition-by PATH   events with the same value there keep their order\n"
    "      --watch           load the script anew when one of its files changes\n"
    "      --control PATH    listen on a socket for tidewire reload and status\n"
    "      --drain TIME      at the end, time for what was read (none: no limit)\n"
    "      --follow          wait for more at the end of FILEs, also when they rotate\n"
    "      --spool DIR       keep events there until they are delivered, and how far\n"
    "                        FILEs were read: the next run goes on there\n"
    "      --durability HOW  commit: survives the machine; os: the process; memory:\n"
    "                        retries without a spool (commit with one)\n"
    "      --spool-size SIZE most that the spool takes (8GiB)\n"
    "      --spool-free SIZE what it leaves free of the disk\n"
    "      --max-event SIZE  longest line, such as 64KiB, up to 32MiB (1MiB)\n"
    "      --max-depth N     deepest nesting, up to 1024 (128)\n"
    "      --grant NAMES     let the script use io, os, debug, package, bytecode, lpeg\n"
    "      --package-path PATH   where require looks, beside the script's folder\n"
    "      --memory-limit SIZE   of the script's Lua state (64MiB)\n"
    "      --instruction-limit N   of the script, for one event (10000000)\n"
    "      --time-limit TIME     for one event, in processor time (1s)\n"
    "      --json            the summary as one line of JSON, last on standard error\n"
    "  -q, --quiet           no summary, no progress; with --json only that\n"
    "  -h, --help            this help\n"
    "\n"
    "Exit status: 0 done; 64 wrong usage; 65 rejected lines under --strict;\n"
    "66 unreadable input; 69 no control socket, or a process has the spool; 74 output\n"
    "failed; 75 events wait in the spool, run again; 78 bad script or spool.\n";

static const char check[] =
    "Usage: tidewire check [OPTION...] SCRIPT...\n"
    "\n"
    "Loads each SCRIPT as run would: syntax, names, options, regular expressions; and\n"
    "runs its tests. Opens nothing. Prints its router as a tree, or FILE:LINE: what is\n"
    "wrong.\n"
    "\n"
    "      --grant NAMES     let the script use io, os, debug, package, bytecode, lpeg\n"
    "      --package-path PATH   where require looks, beside the script's folder\n"
    "      --memory-limit SIZE   of the script's Lua state (64MiB)\n"
    "      --instruction-limit N   of the script, for one event (10000000)\n"
    "      --time-limit TIME     for one event, in processor time (1s)\n"
    "  -q, --quiet  print nothing when all is well\n"
    "  -h, --help   this help\n"
    "\n"
    "Exit status: 0 all is well; 64 wrong usage; 78 bad script.\n";

static const char reload[] =
    "Usage: tidewire reload [OPTION...] SOCKET\n"
    "\n"
    "Tells the daemon that was started with --control SOCKET to load its script anew,\n"
    "and waits. When the new script is bad the old one goes on; what is wrong is\n"
    "printed as FILE:LINE: message.\n"
    "\n"
    "      --json          print the daemon's answer, one line of JSON\n"
    "      --timeout TIME  how long to wait for it (30s)\n"
    "  -q, --quiet         print nothing when all is well\n"
    "  -h, --help          this help\n"
    "\n"
    "Exit status: 0 the new script runs; 64 wrong usage; 69 no daemon is there;\n"
    "75 no answer in time; 78 bad script.\n";

static const char status[] =
    "Usage: tidewire status [OPTION...] SOCKET\n"
    "\n"
    "Shows what the daemon that was started with --control SOCKET runs, and what has\n"
    "become of its events.\n"
    "\n"
    "      --json          print the daemon's answer, one line of JSON\n"
    "      --timeout TIME  how long to wait for it (30s)\n"
    "  -q, --quiet         print nothing: the exit status tells whether it lives\n"
    "  -h, --help          this help\n"
    "\n"
    "Exit status: 0 it lives; 64 wrong usage; 69 no daemon is there;\n"
    "75 no answer in time.\n";

static const char dead[] =
    "Usage: tidewire dead list [OPTION...] DIR [NUMBER...]      one line each\n"
    "       tidewire dead show [OPTION...] DIR [NUMBER...]      all there is\n"
    "       tidewire dead replay [OPTION...] DIR [NUMBER...]    sends them again\n"
    "       tidewire dead export [OPTION...] DIR [NUMBER...]    as NDJSON\n"
    "       tidewire dead drop [OPTION...] DIR [NUMBER...]      removes them\n"
    "\n"
    "Dead letters are what could not be processed or delivered, in the spool DIR, also\n"
    "while a run has it open. NUMBERs are those of the list, such as 7 or 7-9; without\n"
    "any, and without options, all letters are meant.\n"
    "\n"
    "      --backend PATH    of this backend\n"
    "      --where WORD      backend, processor, route, or source: lines that are no event\n"
    "      --since TIME      such as 2026-11-27T05:00:00Z, 2026-11-27, or 2h: ago\n"
    "      --until TIME      before that\n"
    "      --error TEXT      whose error has this text\n"
    "      --name EVENT      whose event has this name\n"
    "      --id ID           whose event has this id\n"
    "      --limit N         so many at most\n"
    "      --to-backend[=PATH]   replay: not through the script, but to their backend,\n"
    "                        or to this one\n"
    "      --events          export: the events alone\n"
    "      --yes             drop: do not ask\n"
    "  -q, --quiet           say only what is wrong\n"
    "  -h, --help            this help\n"
    "\n"
    "Exit status: 0 done; 64 wrong usage; 66 no such spool or letter; 74 output failed.\n";

static const char spool[] =
    "Usage: tidewire spool inspect [--json] DIR\n"
    "       tidewire spool verify [--json] [-q] DIR\n"
    "       tidewire spool export [--backend PATH] [--dead] DIR\n"
    "       tidewire spool repair [-q] DIR\n"
    "       tidewire spool drop [OPTION...] DIR\n"
    "\n"
    "For the spool in the folder DIR, where events wait for their backends.\n"
    "\n"
    "  inspect  show outboxes, sources, state, dead letters; also while it is in use\n"
    "  verify   read and check everything; also while it is in use\n"
    "  export   print the waiting events, one JSON object a line, in order\n"
    "  repair   make a new file of what can be read, keep the old one\n"
    "  drop     remove something, for ever\n"
    "\n"
    "      --backend PATH  export, drop: only what waits for this backend\n"
    "      --dead          export: the dead letters\n"
    "      --source NAME   drop: how far this source was read\n"
    "      --state         drop: what scripts have kept\n"
    "      --all           drop: everything\n"
    "      --yes           drop: do not ask\n"
    "      --json          inspect, verify: print one line of JSON\n"
    "  -q, --quiet         print nothing when all is well\n"
    "  -h, --help          this help\n"
    "\n"
    "Exit status: 0 done; 64 wrong usage; 65 damaged, or not readable; 66 no spool\n"
    "there, or a newer one; 69 a process has it; 74 output failed, or the disk is\n"
    "full.\n";

void tw_help_write(FILE *to) { fputs(general, to); }

int tw_help_print(const char *command) {
  const char *text = general;
  if (command && strcmp(command, "run") == 0) text = run;
  if (command && strcmp(command, "check") == 0) text = check;
  if (command && strcmp(command, "reload") == 0) text = reload;
  if (command && strcmp(command, "status") == 0) text = status;
  if (command && strcmp(command, "dead") == 0) text = dead;
  if (command && strncmp(command, "spool", 5) == 0) text = spool;
  return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? TW_EXIT_OUTPUT : TW_EXIT_DONE;
}

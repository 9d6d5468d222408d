"""What the back office calls things: tables and columns by the names of their models, and the words of its theme.

Django makes a name of each model and field; nobody wrote those down, so no catalogue could have them. Here they are
written down, and every model and field of ours is called by its translation. The theme has no catalogues of its own.
"""

from django.apps import apps
from django.utils.translation import gettext_lazy

from broker.core.text import gettext_noop as N_

OURS = ("broker.", "pools", "portal")

# fmt: off
NAMES = frozenset((
    N_("API token"), N_("API tokens"), N_("SSH key"), N_("SSH keys"), N_("actor"), N_("actor name"), N_("address"),
    N_("affinity group"), N_("affinity groups"), N_("after hours"), N_("agent"), N_("agent at"), N_("alert"),
    N_("allocated bytes"), N_("answered at"), N_("args"), N_("asked"), N_("asked at"), N_("asked by"), N_("asked of"),
    N_("assignment"), N_("assignments"), N_("at"), N_("at once"), N_("authorities"), N_("authority"), N_("available"),
    N_("available bytes"), N_("backup"), N_("backup disk"), N_("backup disks"), N_("backup schedule"),
    N_("backup schedules"), N_("backup target"), N_("backup targets"), N_("backups"), N_("batch"), N_("batches"),
    N_("began at"), N_("body"), N_("boot id"), N_("booted at"), N_("bridge"), N_("builtin"), N_("by hand"),
    N_("bytes down"), N_("bytes up"), N_("ca"), N_("cancel requested"), N_("capacity bytes"), N_("cause"), N_("cd"),
    N_("certificate"), N_("chain check"), N_("chain checks"), N_("changed at"), N_("checkpoint"), N_("clipboard"),
    N_("close reason"), N_("closed at"), N_("cloud init"), N_("clusters"), N_("columns"), N_("config"),
    N_("confirmed at"), N_("connected"), N_("console policy"), N_("console policys"), N_("console ticket"),
    N_("console tickets"), N_("consoles"), N_("correlation"), N_("count"), N_("cpu avg"), N_("cpu max"),
    N_("cpu model"), N_("cpu models"), N_("cpu percent"), N_("cpus"), N_("created"), N_("created at"),
    N_("critical percent"), N_("current"), N_("cut at"), N_("days"), N_("decision"), N_("definition"),
    N_("description"), N_("desktop"), N_("desktop name"), N_("desktops"), N_("detect zeroes"), N_("device"),
    N_("digest"), N_("directories"), N_("directory"), N_("disabled in directory"), N_("disk export"),
    N_("disk exports"), N_("disk gib"), N_("disk read avg"), N_("disk read max"), N_("disk read rate"),
    N_("disk write avg"), N_("disk write max"), N_("disk write rate"), N_("disks"), N_("display name"), N_("driver"),
    N_("due at"), N_("duties"), N_("duty"), N_("each"), N_("email"), N_("emulated"), N_("emulated reason"),
    N_("enabled"), N_("ended at"), N_("epoch"), N_("error"), N_("event"), N_("events"), N_("everybody"),
    N_("evidence"), N_("expires at"), N_("expiry"), N_("explanation"), N_("export"), N_("external id"),
    N_("failures"), N_("fence device"), N_("fence devices"), N_("files"), N_("finished at"), N_("floating disk"),
    N_("floating disks"), N_("forecast"), N_("foreign machine"), N_("foreign machines"), N_("format"), N_("found"),
    N_("full every"), N_("gateway"), N_("generation"), N_("gone at"), N_("good digest"), N_("good position"),
    N_("grace hours"), N_("grace percent"), N_("grant"), N_("grants"), N_("graphics"), N_("groups"), N_("guard"),
    N_("guest"), N_("guest at"), N_("guest boot"), N_("guests"), N_("ha"), N_("hardware"), N_("held by"),
    N_("held since"), N_("help"), N_("helper"), N_("helps"), N_("holder"), N_("host agent"), N_("host agents"),
    N_("host certificate"), N_("host certificates"), N_("host device"), N_("host devices"), N_("host hard"),
    N_("host health"), N_("host healths"), N_("host invitation"), N_("host invitations"), N_("host key"),
    N_("host label"), N_("host load"), N_("host loads"), N_("host rule"), N_("hostname"), N_("hosts"), N_("hours"),
    N_("hypervisor"), N_("id"), N_("idempotency key"), N_("idempotency keys"), N_("idle"), N_("image"),
    N_("image source"), N_("image sources"), N_("images"), N_("in kib"), N_("index"), N_("input at"),
    N_("instance type"), N_("instance types"), N_("is active"), N_("job"), N_("jobs"), N_("joined at"),
    N_("keep daily"), N_("keep last"), N_("keep monthly"), N_("keep weekly"), N_("kept"), N_("key"), N_("keyboard"),
    N_("kind"), N_("kinds"), N_("known place"), N_("known places"), N_("labels"), N_("last input at"),
    N_("last login"), N_("last run at"), N_("last seen at"), N_("last step"), N_("lease until"), N_("leased"),
    N_("left at"), N_("level"), N_("limits"), N_("linked"), N_("location"), N_("looked at"), N_("lost at"),
    N_("luns"), N_("mac"), N_("machine hard"), N_("machine label"), N_("machine load"), N_("machine loads"),
    N_("machine rule"), N_("made at"), N_("made from"), N_("maker"), N_("manager"), N_("max per user"), N_("members"),
    N_("membership"), N_("memberships"), N_("memory avg"), N_("memory bytes"), N_("memory free bytes"),
    N_("memory max"), N_("memory mib"), N_("memory storage"), N_("memory used bytes"), N_("message"),
    N_("message params"), N_("messages"), N_("meta"), N_("meta member"), N_("meta members"), N_("meta pool"),
    N_("meta pools"), N_("migration"), N_("mode"), N_("monitor process"), N_("monitor processes"), N_("most gib"),
    N_("mount"), N_("moving to"), N_("name"), N_("name pattern"), N_("net in avg"), N_("net in max"),
    N_("net in rate"), N_("net out avg"), N_("net out max"), N_("net out rate"), N_("networks"), N_("next at"),
    N_("next run at"), N_("nic"), N_("nics"), N_("noted"), N_("notes"), N_("number"), N_("numbers"), N_("object id"),
    N_("object kind"), N_("observed at"), N_("observed definition"), N_("observed uuid"), N_("off at"),
    N_("on error"), N_("online at"), N_("open"), N_("open at"), N_("opened at"), N_("options"), N_("order"),
    N_("os name"), N_("out kib"), N_("outcome"), N_("outside"), N_("own field"), N_("own fields"), N_("owner"),
    N_("params"), N_("parent"), N_("password"), N_("path"), N_("pending change"), N_("pending changes"), N_("phase"),
    N_("physical PC"), N_("physical PCs"),
    N_("picture"), N_("plan"), N_("plugged"), N_("policy"), N_("pool forecast"), N_("pool forecasts"),
    N_("pool goal"), N_("pool goals"), N_("pool waiter"), N_("pool waiters"), N_("pools"), N_("port"), N_("position"),
    N_("power reason"), N_("power state"), N_("preferences"), N_("present"), N_("prestarted"), N_("preview"),
    N_("previews"), N_("previous"), N_("priority"), N_("private"), N_("problem"), N_("product"), N_("progress"),
    N_("protected"), N_("public"), N_("purpose"), N_("quality"), N_("quiesced"), N_("quota"), N_("quota overrun"),
    N_("quota overruns"), N_("quotas"), N_("rdp"), N_("read at"), N_("read only"), N_("ready at"), N_("reason"),
    N_("reasons"), N_("rebooted at"), N_("received bytes"), N_("record"), N_("recorded"), N_("recording"),
    N_("recordings"), N_("recovery"), N_("recovery code"), N_("recovery codes"), N_("recoverys"), N_("resource"),
    N_("results"), N_("retries"), N_("retry at"), N_("revision"), N_("role"), N_("roles"), N_("rollout"),
    N_("rollouts"), N_("rule"), N_("rules"), N_("run cd"), N_("running"), N_("same owner"), N_("sample"),
    N_("samples"), N_("saved search"), N_("saved searches"), N_("schedule"), N_("sealing"), N_("second factor"),
    N_("second factor at"), N_("second factors"), N_("seconds"), N_("secret"), N_("secret hash"), N_("seen"),
    N_("seen at"), N_("sent at"), N_("server"), N_("session"), N_("session rules"), N_("session ruless"),
    N_("session timing"), N_("session timings"), N_("sessions"), N_("severity"), N_("share"), N_("shared"),
    N_("shares"), N_("signed in at"), N_("silent seconds"), N_("silent since"), N_("since"), N_("size"),
    N_("size bytes"), N_("smartcard"), N_("snapshot"), N_("snapshot disk"), N_("snapshot disks"), N_("snapshots"),
    N_("source"), N_("span"), N_("speed"), N_("start"), N_("started at"), N_("state"), N_("stateful"), N_("status"),
    N_("step"), N_("steps"), N_("storage"), N_("storage attachment"), N_("storage attachments"), N_("storage domain"),
    N_("storage domains"), N_("subject id"), N_("subject kind"), N_("subject name"), N_("subnet"), N_("subscription"),
    N_("subscriptions"), N_("suspended"), N_("sync asked"), N_("sync error"), N_("sync held"), N_("sync state"),
    N_("synced at"), N_("tag"), N_("tags"), N_("takeovers"), N_("target"), N_("template"), N_("template version"),
    N_("template versions"), N_("test asked"), N_("text"), N_("threshold percent"), N_("title"), N_("token key"),
    N_("told"), N_("told at"), N_("touched at"), N_("tried at"), N_("tries"), N_("under way"), N_("unfit"),
    N_("until"), N_("uri"), N_("url"), N_("usb"), N_("used at"), N_("user"), N_("user name"), N_("username"),
    N_("users"), N_("uuid"), N_("value"), N_("values"), N_("vcpus"), N_("vendor"), N_("verb"), N_("verbs"),
    N_("verdict"), N_("verdicts"), N_("verified at"), N_("version"), N_("via"), N_("view only"),
    N_("virtual machine"), N_("virtual machines"), N_("vlan"), N_("vm"), N_("vm name"), N_("vm template"),
    N_("vm templates"), N_("vms"), N_("volume"), N_("warning percent"), N_("way"), N_("weeks"), N_("why"),
    N_("booked"), N_("booking"), N_("bookings"), N_("by"), N_("end"), N_("wipe after delete"), N_("worker"), N_("zone"),
    N_("account"), N_("begun at"), N_("guest name"), N_("sign-on"), N_("sign-ons"),
))
THEME = frozenset((
    N_("Add row"), N_("All applications"), N_("Apply Filters"), N_("Change password"), N_("Choose file to upload"),
    N_("Clear all filters"), N_("Clear selection"), N_("Click here to select the objects across all pages"),
    N_("Click to cancel"), N_("Click to download"), N_("Dark"), N_("Date from"), N_("Date to"), N_("Expand row"),
    N_("False"), N_("Filters"), N_("Go back"), N_("Hide counts"), N_("Image preview"), N_("Light"),
    N_("Loading more results..."), N_("No data"), N_("No recent searches"), N_("No results found"),
    N_("No results matching your query"), N_("No, take me back"), N_("Objects"), N_("Previous"),
    N_("Recent searches"), N_("Record picture"), N_("Reset filters"), N_("Return to site"), N_("Run"),
    N_("Save and view"), N_("Save as new"), N_("Search apps and models..."), N_("Select action"),
    N_("Select action to run"), N_("Select all rows"), N_("Select record"), N_("Select value"), N_("Show counts"),
    N_("Submit"), N_("System"), N_("This item will be deleted."),
    N_("This page yielded into no results. Create a new item or reset your filters."),
    N_("Toggle password visibility"), N_("Toggle sorting"), N_("True"), N_("Type to search"), N_("Value"), N_("View"),
    N_("View site"), N_("Yes, I’m sure"), N_("You don’t have permission to view or edit anything."),
))
# Of choices, and of columns that show a state as it is stored.
CHOICES = frozenset((
    N_("accept"), N_("allowed"), N_("Apart"), N_("assigned"), N_("building"), N_("cancelled"), N_("closed"),
    N_("closing"), N_("crashed"), N_("creating"), N_("deleting"), N_("Dir"), N_("done"), N_("dropped"), N_("ended"),
    N_("ending"), N_("errored"), N_("failed"), N_("full"), N_("importing"), N_("Incremental"), N_("lapsed"),
    N_("maintenance"), N_("making"), N_("Nothing"), N_("over"), N_("partly"), N_("paused"), N_("preparing"),
    N_("queued"), N_("ready"), N_("refused"), N_("resetting"), N_("retiring"), N_("sealed"), N_("starting"),
    N_("succeeded"), N_("Together"), N_("undoing"), N_("unsealed"), N_("uploading"), N_("waiting"),
))
# fmt: on


def translate_names() -> None:
    """Call each model, field and choice in the reader's language from now on. Migrations know nothing of it."""
    for model in apps.get_models():
        if not model.__module__.startswith(OURS):
            continue
        options = model._meta
        for name in ("verbose_name", "verbose_name_plural"):
            setattr(options, name, gettext_lazy(str(getattr(options, name))))
        for field in (*options.local_fields, *options.local_many_to_many):
            field.verbose_name = gettext_lazy(str(field.verbose_name))
            if field.choices:
                # What is stored is the value; an empty label would be translated into the catalogue's own head.
                field.choices = [(value, str(label) and gettext_lazy(str(label))) for value, label in field.flatchoices]

/* Signing in at a desktop's own remote desktop: asked once, and again when the desktop did not take it. */

let login = null;

/** What was typed last, else what is typed now; nothing when it is given up. Kept by this page alone. */
export async function rdpLogin(stage) {
  login ??= await ask();
  return login && { ...login, ...sizeOf(stage) };
}

export function forgetLogin() {
  login = null;
}

function ask() {
  const dialog = document.getElementById("rdp-login");
  const [user, password] = ["rdp-user", "rdp-password"].map((id) => document.getElementById(id));
  return new Promise((answer) => {
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      const typed = dialog.returnValue === "go" ? { username: user.value, password: password.value } : null;
      password.value = "";
      answer(typed);
    }, { once: true });
    dialog.showModal();
    (user.value ? password : user).focus();
  });
}

/** The desktop gets the size of the window, which it keeps. */
function sizeOf(stage) {
  return { width: Math.max(640, Math.round(stage.clientWidth)), height: Math.max(480, Math.round(stage.clientHeight)) };
}

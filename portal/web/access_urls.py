"""The addresses of the pages about roles, who holds them, quotas, and what somebody may do."""

from django.urls import path

from .views import account, activity, permissions, quotas, rights, roles, second_factor, second_factor_door

urlpatterns = [
    path("activity/", activity.Activity.as_view(), name="activity"),
    path("account/", account.Account.as_view(), name="account"),
    path("account/password", account.OwnPassword.as_view(), name="own-password"),
    path("account/tokens", account.NewToken.as_view(), name="token-new"),
    path("account/tokens/<uuid:pk>/revoke", account.RevokeToken.as_view(), name="token-revoke"),
    path("account/second-factor", second_factor.SetUp.as_view(), name="second-factor"),
    path("account/second-factor/off", second_factor.TurnOff.as_view(), name="second-factor-off"),
    path("account/second-factor/codes", second_factor.NewCodes.as_view(), name="second-factor-codes"),
    path("sign-in/code", second_factor_door.AskCode.as_view(), name="sign-in-code"),
    path("sign-in/set-up", second_factor_door.SetUpAtTheDoor.as_view(), name="sign-in-set-up"),
    path("rights/", rights.MyRights.as_view(), name="my-rights"),
    path("manage/rights/<uuid:pk>/", rights.RightsOf.as_view(), name="rights"),
    path("manage/roles/", roles.Roles.as_view(), name="roles"),
    path("manage/roles/new", roles.NewRole.as_view(), name="role-new"),
    path("manage/roles/<uuid:pk>/", roles.RoleOne.as_view(), name="role"),
    path("manage/roles/<uuid:pk>/copy", roles.CopyRole.as_view(), name="role-copy"),
    path("manage/roles/<uuid:pk>/edit", roles.EditRole.as_view(), name="role-edit"),
    path(
        "manage/roles/<uuid:pk>/demand/<slug:wanted>",
        roles.SecondFactorOfRole.as_view(),
        name="role-second-factor",
    ),
    path("manage/roles/<uuid:pk>/delete", roles.DeleteRole.as_view(), name="role-delete"),
    path("manage/permissions/", permissions.OnSystem.as_view(), name="permissions-system"),
    path("manage/permissions/give", permissions.Give.as_view(), name="permission-give"),
    path("manage/permissions/<uuid:pk>/take", permissions.Take.as_view(), name="permission-take"),
    path("manage/permissions/<slug:kind>/<uuid:pk>/", permissions.OnObject.as_view(), name="permissions"),
    path("manage/quotas/", quotas.Quotas.as_view(), name="quotas"),
    path("manage/quotas/new", quotas.NewQuota.as_view(), name="quota-new"),
    path("manage/quotas/<uuid:pk>/edit", quotas.EditQuota.as_view(), name="quota-edit"),
    path("manage/quotas/<uuid:pk>/delete", quotas.DeleteQuota.as_view(), name="quota-delete"),
]

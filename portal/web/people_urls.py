"""The addresses of the pages about people and where they come from."""

from django.urls import path

from .views import directories, groups, users

urlpatterns = [
    path("manage/users/", users.Users.as_view(), name="users"),
    path("manage/users/new", users.NewUser.as_view(), name="user-new"),
    path("manage/users/<uuid:pk>/", users.UserOne.as_view(), name="user"),
    path("manage/users/<uuid:pk>/edit", users.EditUser.as_view(), name="user-edit"),
    path("manage/users/<uuid:pk>/password", users.NewPassword.as_view(), name="user-password"),
    path("manage/users/<uuid:pk>/<slug:verb>", users.UserDeed.as_view(), name="user-deed"),
    path("manage/groups/", groups.Groups.as_view(), name="groups"),
    path("manage/groups/new", groups.NewGroup.as_view(), name="group-new"),
    path("manage/groups/<uuid:pk>/", groups.GroupOne.as_view(), name="group"),
    path("manage/groups/<uuid:pk>/delete", groups.DeleteGroup.as_view(), name="group-delete"),
    path("manage/groups/<uuid:pk>/members", groups.AddMember.as_view(), name="group-add"),
    path("manage/groups/<uuid:pk>/members/<uuid:user>/remove", groups.RemoveMember.as_view(), name="group-remove"),
    path("manage/directories/", directories.Directories.as_view(), name="directories"),
    path("manage/directories/new/<slug:kind>", directories.FormOfDirectory.as_view(), name="directory-new"),
    path("manage/directories/<uuid:pk>/", directories.DirectoryOne.as_view(), name="directory"),
    path("manage/directories/<uuid:pk>/edit", directories.FormOfDirectory.as_view(), name="directory-edit"),
    path("manage/directories/<uuid:pk>/delete", directories.DeleteDirectory.as_view(), name="directory-delete"),
    path("manage/directories/<uuid:pk>/<slug:verb>", directories.DirectoryDeed.as_view(), name="directory-deed"),
]

"""PoolGoal: within how many seconds people are to have their desktop."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from .pool import Pool

LONGEST_GOAL = 3600


class PoolGoal(models.Model):
    pool = models.OneToOneField(Pool, primary_key=True, on_delete=models.CASCADE, related_name="goal")
    seconds = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(LONGEST_GOAL)])

    def __str__(self) -> str:
        return f"{self.pool}: {self.seconds} s"

# The laboratory's guest: one boot sector that behaves like a small operating system.
#
# Rebuild after a change and put the output into guest.py (xxd -p -c 32 guest.bin):
#   as --32 guest.S -o guest.o && ld -m elf_i386 -Ttext 0x7c00 --oformat binary -e start guest.o -o guest.bin
#
# It relies on SeaBIOS: ACPI power management ports at 0x600 (on "pc" and "q35" alike), int 13h with the
# extensions for the boot disk, int 16h for the keyboard, int 10h for the screen; COM1 is at 0x3f8.
.code16
.globl start
start:
    ljmp $0,$entry
entry:
    cli
    xor %ax,%ax
    mov %ax,%ds
    mov %ax,%es
    mov %ax,%ss
    mov $0x7c00,%sp
    mov %dl,drive
    mov $0x602,%dx              # PM1_EN: let the power button show in PM1_STS
    mov $0x0100,%ax
    out %ax,%dx
    sti
    mov $0x42,%ah               # read sector 1: what the runs before left
    call disk
    incl buffer                 # one more boot
    movl $0,buffer+4            # no tick of this boot yet
    call fill
    mov $hello,%si
    call print
    cmpb $0,period
    jne tick
    in $0x21,%al                # no ticks wanted: mask the timer, and let the RTC wake us, once a second
    or $1,%al
    out %al,$0x21
    in $0xa1,%al
    and $0xfe,%al
    out %al,$0xa1
    mov $0x0b,%al               # register B, bit 4: an interrupt (8) whenever the time was updated
    out %al,$0x70
    in $0x71,%al
    or $0x10,%al
    mov %al,%ah
    mov $0x0b,%al
    out %al,$0x70
    mov %ah,%al
    out %al,$0x71
tick:
    sti
    hlt
    mov $0x600,%dx              # PM1_STS, bit 8: the power button was pressed
    in %dx,%ax
    test $1,%ah
    jnz poweroff
    mov $0x3fd,%dx              # serial line status, bit 0: a byte came in; echo it
    in %dx,%al
    test $1,%al
    jz keyboard
    mov $0x3f8,%dx
    in %dx,%al
    call put
keyboard:
    mov $1,%ah                  # a key in the BIOS buffer? write it to screen and serial line
    int $0x16
    jz clock
    xor %ah,%ah
    int $0x16
    call put
clock:
    mov 0x46c,%al               # the BIOS clock, 18.2 ticks a second; other interrupts wake us too
    cmp last,%al
    je tick
    mov %al,last
    incl buffer+4
    cmpb $0,busily
    je write
    call fill
write:
    mov period,%al
    test %al,%al
    jz tick
    decb left
    jnz tick
    mov %al,left
    incl buffer+8               # one more entry of the log: its number, and a sum over what is before it
    mov buffer+8,%eax
    mov %eax,%ecx
    add buffer,%ecx
    add buffer+4,%ecx
    not %ecx
    mov %ecx,buffer+12
    and $1023,%eax              # a ring of 1024 sectors behind sector 1
    add $2,%eax
    mov %eax,packet+8
    mov $0x43,%ah
    call disk
    movl $1,packet+8
    mov $0x43,%ah               # write sector 1
    call disk
    jmp tick
poweroff:
    mov $0x43,%ah
    call disk
    mov $bye,%si
    call print
    mov $0x604,%dx              # PM1_CNT: SLP_EN with type S5
    mov $0x2000,%ax
    out %ax,%dx
    hlt
fill:                           # write the tick's number into every page of `memory` MiB from 1 MiB on
    movzbl memory,%ecx
    shl $8,%ecx
    jz done
    cli
    lgdt table                  # in protected mode a segment of 4 GiB is loaded, and kept back in real mode
    mov %cr0,%eax
    or $1,%al
    mov %eax,%cr0
    mov $8,%bx
    mov %bx,%fs
    and $0xfe,%al
    mov %eax,%cr0
    mov buffer+4,%eax
    or $1,%al                   # never 0: a page of zeros is not moved
    mov $0x100000,%edi
page:
    mov %eax,%fs:(%edi)
    add $0x1000,%edi
    dec %ecx
    jnz page
    xor %bx,%bx
    mov %bx,%fs
    sti
    ret
disk:                           # ah = 0x42 read, 0x43 write
    xor %al,%al
    mov drive,%dl
    mov $packet,%si
    int $0x13
    ret
print:                          # the string at si
    lodsb
    test %al,%al
    jz done
    call put
    jmp print
put:                            # al to the screen and to COM1
    mov $0x0e,%ah
    mov $7,%bx
    int $0x10
    push %ax
    mov $0x3fd,%dx
busy:
    in %dx,%al
    test $0x20,%al
    jz busy
    pop %ax
    mov $0x3f8,%dx
    out %al,%dx
done:
    ret
hello: .asciz "LAB-UP\r\n"
bye: .asciz "LAB-OFF\r\n"
drive: .byte 0
last: .byte 0
left: .byte 1
.align 4
packet: .byte 16,0              # one sector, to and from 0:buffer, at LBA 1
    .word 1
    .word 0x7e00,0
    .quad 1
.align 4
descriptors: .quad 0,0x008f92000000ffff
table: .word 15
    .long descriptors
.set buffer,0x7e00              # u32 boots, u32 ticks of this boot, u32 entries of the log, u32 sum of the last
.org 0x1fb
memory: .byte 0                 # MiB filled when it starts, so that moving it takes long
busily: .byte 0                 # 1: again at every tick, so that moving it never ends
period: .byte 18                # ticks between two writes; 0 = no ticks, one write at power off
.word 0xaa55

/* A place for the words of this test, which stand here soon. */
int main(void)
{
    return 0;
}
